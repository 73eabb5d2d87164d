// @ts-check
/**
 * The hue of an album, which tints the page and stands in for a picture until it is there.
 *
 * Here: choosing it, as covers.py does for the default picture. Not here: where it is shown
 * (nowplaying.js, tracklist.js).
 */

/** Degrees of OKLCH that stay clear, not muddy, when a gradient darkens them. */
const HUES = [10, 35, 60, 170, 190, 215, 240, 262, 288, 315, 345];
const DEFAULT_HUE = 200;

/** @typedef {import("./catalogue.js").Track} Track */

/**
 * @param {Track | null} track
 * @returns {number} degrees of OKLCH; the same for all tracks of an album
 */
export function hueOf(track) {
  if (!track) return DEFAULT_HUE;
  const name = track.album || track.artist || track.title;
  return HUES[hash(name) % HUES.length];
}

/**
 * FNV-1a, 32 bits.
 * @param {string} text
 */
function hash(text) {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value;
}
