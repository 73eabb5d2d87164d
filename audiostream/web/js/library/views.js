// @ts-check
/** The views of the library, as the items of one long list: tracks, albums, artists, history. */

import { clockTime, counted } from "../format.js";
import { artistsOf, numberOf } from "./albums.js";
import { letterOf, sortKey, sortedBy } from "./names.js";
import { pastTime } from "./past-time.js";

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {import("./albums.js").Album} Album */
/** @typedef {import("./albums.js").Artist} Artist */
/** @typedef {"tracks" | "albums" | "artists" | "recent"} View */
/** @typedef {"artist" | "title" | "album" | "added" | "short" | "long"} Sort */

/**
 * One row of the list.
 * @typedef {object} Item
 * @property {"track" | "album" | "artist"} kind
 * @property {string} key the same for the same row of a later list
 * @property {string} name for type-ahead
 * @property {string} place what the row is sorted by, empty where that is no name
 * @property {Track[]} tracks what "Play" on a group plays; the list that a track is played in
 * @property {Track} [track] of the kind `track`
 * @property {Album} [album] of a track in its album and of an album
 * @property {string} [number] on the album
 * @property {string[]} details under the name
 * @property {boolean} [isOpen] of an artist
 * @property {number} level of the tree, from 1
 * @property {number} position among the items of the same level and group, from 1
 * @property {number} size of that group
 */

/** @typedef {{ track: Track, playedAt: number, position: number | null }} Played */

/** @type {Record<View, Sort[]>} what each view can be sorted by, the default first */
export const SORTS = {
  tracks: ["artist", "title", "album", "added", "short", "long"],
  albums: ["artist", "album", "added"],
  artists: ["artist"],
  recent: [],
};
/** Seconds from which on the place where a track was left is shown. */
const LEFT_AFTER = 10;

/**
 * @param {readonly Track[]} tracks as the server sorts them: by artist, album and number
 * @param {Sort} sort
 * @returns {Item[]}
 */
export function trackItems(tracks, sort) {
  const sorted = sortTracks(tracks, sort);
  return sorted.map((track, index) => ({
    ...itemOf(track, sorted, index, 1),
    place: placeOf(track, sort),
    details: [track.artist ?? ""],
  }));
}

/**
 * @param {readonly Album[]} albums by artist
 * @param {Sort} sort
 * @returns {Item[]}
 */
export function albumItems(albums, sort) {
  const sorted = sortAlbums(albums, sort);
  return sorted.flatMap((album, index) => {
    const place = sort === "album" ? album.title : album.artist;
    return itemsOfAlbum(album, [index, sorted.length], 1, sort === "added" ? "" : place);
  });
}

/**
 * @param {readonly Album[]} albums by artist
 * @param {ReadonlySet<string>} open the keys of the artists whose albums are shown
 * @returns {Item[]}
 */
export function artistItems(albums, open) {
  const artists = artistsOf(albums);
  return artists.flatMap((artist, index) => {
    const header = artistItem(artist, [index, artists.length], open.has(artist.key));
    if (!header.isOpen) return [header];
    const size = artist.albums.length;
    const of = artist.albums.map((album, place) => itemsOfAlbum(album, [place, size], 2, ""));
    return [header, ...of.flat()];
  });
}

/**
 * @param {readonly Played[]} history the last one first
 * @param {number} now epoch milliseconds
 * @returns {Item[]}
 */
export function recentItems(history, now) {
  const tracks = history.map(({ track }) => track);
  return history.map(({ track, playedAt, position }, index) => {
    const left = position !== null && position >= LEFT_AFTER ? `left at ${clockTime(position)}` : "";
    return {
      ...itemOf(track, tracks, index, 1),
      details: [track.artist ?? "", pastTime(playedAt, now), left],
    };
  });
}

/**
 * The letters that lead to a place, in the order of the list.
 * @param {readonly Item[]} items
 * @returns {{ letter: string, index: number }[]} each with the first of its items
 */
export function lettersOf(items) {
  /** @type {Map<string, number>} */
  const letters = new Map();
  for (const [index, { place, level }] of items.entries()) {
    if (level > 1 || !place) continue;
    const letter = letterOf(place);
    if (!letters.has(letter)) letters.set(letter, index);
  }
  return [...letters].map(([letter, index]) => ({ letter, index }));
}

/**
 * @param {readonly Track[]} tracks
 * @param {Sort} sort
 * @returns {Track[]}
 */
function sortTracks(tracks, sort) {
  const { title, album, added, short, long } = {
    title: (/** @type {Track} */ track) => sortKey(track.title),
    album: (/** @type {Track} */ track) => (track.album ? `0${sortKey(track.album)}` : "1"),
    added: (/** @type {Track} */ track) => -(track.addedAt ?? 0),
    short: (/** @type {Track} */ track) => track.duration ?? Infinity,
    long: (/** @type {Track} */ track) => -(track.duration ?? 0),
  };
  const keys = { artist: null, title, album, added, short, long };
  const keyOf = keys[sort];
  return keyOf ? sortedBy(tracks, keyOf) : [...tracks];
}

/**
 * @param {readonly Album[]} albums
 * @param {Sort} sort
 * @returns {readonly Album[]}
 */
function sortAlbums(albums, sort) {
  if (sort === "album") {
    return sortedBy(albums, ({ title }) => (title ? `0${sortKey(title)}` : "1"));
  }
  if (sort !== "added") return albums;
  const newest = (/** @type {Album} */ { tracks }) =>
    tracks.reduce((latest, { addedAt = 0 }) => Math.max(latest, addedAt), 0);
  return sortedBy(albums, (album) => -newest(album));
}

/**
 * @param {Track} track
 * @param {Sort} sort
 */
function placeOf({ title, album, albumArtist, artist }, sort) {
  if (sort === "artist") return albumArtist || artist || title;
  if (sort === "title") return title;
  return sort === "album" ? (album ?? "") : "";
}

/**
 * @param {Album} album
 * @param {[index: number, size: number]} at
 * @param {number} level
 * @param {string} place
 * @returns {Item[]} its header and its tracks
 */
function itemsOfAlbum(album, [index, size], level, place) {
  const { key, tracks, artist } = album;
  const title = album.title || "Without an album";
  /** @type {Item} */
  const header = {
    kind: "album",
    key: `album ${key}`,
    name: title,
    place,
    tracks,
    album,
    details: [level === 1 ? artist : "", counted(tracks.length, "track")],
    level,
    position: index + 1,
    size,
  };
  const items = tracks.map((track, place) => ({
    ...itemOf(track, tracks, place, level + 1),
    album,
    number: numberOf(track, album),
    details: [track.artist === artist ? "" : (track.artist ?? "")],
  }));
  return [header, ...items];
}

/**
 * @param {Artist} artist
 * @param {[index: number, size: number]} at
 * @param {boolean} isOpen
 * @returns {Item}
 */
function artistItem({ key, name, albums }, [index, size], isOpen) {
  const tracks = albums.flatMap((album) => album.tracks);
  const named = albums.filter(({ title }) => title).length;
  return {
    kind: "artist",
    key: `artist ${key}`,
    name: name || "Unknown artist",
    place: name,
    tracks,
    details: [named ? counted(named, "album") : "", counted(tracks.length, "track")],
    isOpen,
    level: 1,
    position: index + 1,
    size,
  };
}

/**
 * @param {Track} track
 * @param {Track[]} tracks the list that it is played in
 * @param {number} index in that list
 * @param {number} level
 * @returns {Item}
 */
function itemOf(track, tracks, index, level) {
  return {
    kind: "track",
    key: `track ${track.id}`,
    name: track.title,
    place: "",
    tracks,
    track,
    details: [],
    level,
    position: index + 1,
    size: tracks.length,
  };
}
