// @ts-check
/** A search in the tracks that the page has, for as long as the server does not answer one. */

/** @typedef {import("../../client.js").Track} Track */

/**
 * @param {readonly Track[]} tracks
 * @param {string} query
 * @returns {Track[]} those that have all of its words in their title, artist and album; the server
 *     knows more ways to write a letter
 */
export function searchLocally(tracks, query) {
  const words = folded(query).split(/\s+/).filter(Boolean);
  return tracks.filter(({ title, artist, album, albumArtist }) => {
    const text = folded([title, artist, album, albumArtist].join("\n"));
    return words.every((word) => text.includes(word));
  });
}

/**
 * @param {string} text
 * @returns {string} without case, accents and punctuation
 */
function folded(text) {
  return text
    .normalize("NFKD")
    .replace(/[^\p{Letter}\p{Number}\p{Symbol}\s]/gu, "")
    .toLowerCase();
}
