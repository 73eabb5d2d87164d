// @ts-check
/** Groups tracks into albums, and albums by artist. */

import { fold, sortKey, sortedBy } from "./names.js";

/** @typedef {import("../../client.js").Track} Track */

/**
 * @typedef {object} Album
 * @property {string} key the same for the same album of a later list
 * @property {string} title empty for an artist's tracks without an album
 * @property {string} artist empty where unknown
 * @property {Track[]} tracks by disc, number, and the order of the list
 * @property {boolean} hasDiscs whether the tracks are of several discs
 */

/**
 * @typedef {object} Artist
 * @property {string} key
 * @property {string} name empty where unknown
 * @property {Album[]} albums
 */

const VARIOUS_ARTISTS = "Various artists";
/** A number after those of all tracks that have one. */
const LAST = 1_000_000;

/**
 * The albums of some tracks by artist and title; what has no album follows the artist's albums.
 *
 * Tracks with an album artist belong together if artist and title are equal. Without an album
 * artist a title alone would put every "Greatest Hits" into one, and the artists of the tracks
 * would take a compilation apart. The track numbers decide: where no number occurs twice it is one
 * album.
 * @param {readonly Track[]} tracks
 * @returns {Album[]}
 */
export function albumsOf(tracks) {
  const folded = memoized(fold);
  const keyOf = (/** @type {Track} */ { album = "", albumArtist, artist = "" }) =>
    [album, albumArtist || (album ? "" : artist)].map(folded).join("\n");
  /** @type {Map<string, Track[]>} */
  const groups = new Map();
  for (const [key, group] of grouped(tracks, keyOf)) {
    const [{ album, albumArtist }] = group;
    const isOne = !album || albumArtist || isNumberedOnce(group);
    const parts = isOne ? new Map([["", group]]) : grouped(group, ({ artist = "" }) => folded(artist));
    for (const [artist, part] of parts) groups.set(`${key}\n${artist}`, part);
  }
  const albums = [...groups].map(([key, group]) => albumOf(key, group));
  const order = memoized(sortKey);
  return sortedBy(albums, ({ artist, title }) =>
    [order(artist), title ? 0 : 1, order(title)].join("\n"),
  );
}

/**
 * @param {readonly Album[]} albums by artist
 * @returns {Artist[]}
 */
export function artistsOf(albums) {
  const groups = grouped(albums, ({ artist }) => fold(artist));
  return [...groups].map(([key, of]) => ({ key, name: of[0].artist, albums: of }));
}

/**
 * The number of a track on its album, with the disc where there are several.
 * @param {Track} track
 * @param {Album} album
 */
export function numberOf({ disc = 1, trackNumber }, { hasDiscs }) {
  return (hasDiscs ? [disc, trackNumber] : [trackNumber]).filter(Boolean).join("-");
}

/**
 * @param {string} key
 * @param {Track[]} tracks
 * @returns {Album}
 */
function albumOf(key, tracks) {
  const { album = "", albumArtist, artist = "" } = tracks[0];
  const isOfOne = tracks.every((track) => track.artist === tracks[0].artist);
  return {
    key,
    title: album,
    artist: albumArtist || (isOfOne || !album ? artist : VARIOUS_ARTISTS),
    tracks: album ? sortedBy(tracks, placeOnAlbum) : tracks,
    hasDiscs: Boolean(album) && new Set(tracks.map(({ disc }) => disc ?? 1)).size > 1,
  };
}

/** @param {Track} track */
function placeOnAlbum({ disc = 1, trackNumber = LAST - 1 }) {
  return disc * LAST + trackNumber;
}

/**
 * Whether all tracks have a number, and no two the same.
 * @param {Track[]} tracks
 */
function isNumberedOnce(tracks) {
  const numbers = new Set(tracks.map(({ disc, trackNumber }) => `${disc ?? 1}-${trackNumber}`));
  return numbers.size === tracks.length && tracks.every(({ trackNumber }) => trackNumber);
}

/**
 * @template T
 * @param {readonly T[]} items
 * @param {(item: T) => string} keyOf
 * @returns {Map<string, T[]>} in the order of the first of each
 */
function grouped(items, keyOf) {
  /** @type {Map<string, T[]>} */
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** @param {(text: string) => string} convert */
function memoized(convert) {
  /** @type {Map<string, string>} */
  const known = new Map();
  return (/** @type {string} */ text) => {
    const made = known.get(text) ?? convert(text);
    known.set(text, made);
    return made;
  };
}
