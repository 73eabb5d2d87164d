// @ts-check
/** The elements of one row in the list of tracks. */

import { coverUrl } from "./api.js";
import { clockTime } from "./format.js";
import { hueOf } from "./hue.js";

/** @typedef {import("../client.js").Track} Track */

/**
 * @param {Track} track
 * @param {number} index
 * @param {number} count of all rows
 */
export function createRow(track, index, count) {
  const row = document.createElement("li");
  row.id = `track-${index}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-posinset", String(index + 1));
  row.setAttribute("aria-setsize", String(count));
  const tile = createPart("tile", "");
  tile.dataset.hue = String(hueOf(track));
  tile.append(createPart("bar", ""), createPart("bar", ""), createPart("bar", ""));
  row.append(
    tile,
    createPart("title", track.title),
    createPart("artist", track.artist ?? ""),
    createPart("album", track.album ?? ""),
    createPart("duration", track.duration === undefined ? "" : clockTime(track.duration)),
  );
  return row;
}

/**
 * Load a row's cover, once. Its tile has the album's hue until then.
 * @param {HTMLLIElement} row
 * @param {Track} track
 */
export function addCover(row, track) {
  const tile = /** @type {HTMLElement} */ (row.firstElementChild);
  if (tile.dataset.asked) return;
  tile.dataset.asked = "true";
  const cover = new Image();
  cover.decoding = "async";
  cover.alt = "";
  cover.addEventListener("error", () => cover.remove()); // the hue stays
  cover.src = coverUrl(track);
  tile.prepend(cover);
}

/**
 * @param {string} name
 * @param {string} text
 */
function createPart(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  if (text) span.dir = "auto";
  return span;
}
