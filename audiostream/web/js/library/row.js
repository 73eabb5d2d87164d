// @ts-check
/** The elements of one row in the library's list: a track, an album's header, or an artist. */

import { coverUrl } from "../api.js";
import { setNames } from "../dom.js";
import { clockTime } from "../format.js";
import { hueOf } from "../hue.js";

/** @typedef {import("./views.js").Item} Item */

/**
 * @param {Item} item
 * @param {number} index in the list
 * @returns {HTMLLIElement}
 */
export function createRow(item, index) {
  const { kind, name, track, isOpen } = item;
  const row = document.createElement("li");
  row.id = `row-${index}`;
  row.className = track && item.album ? "in-album" : `${kind}-row`;
  row.dataset.index = String(index);
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-label", labelOf(item));
  row.setAttribute("aria-level", String(item.level));
  row.setAttribute("aria-posinset", String(item.position));
  row.setAttribute("aria-setsize", String(item.size));
  if (isOpen !== undefined) row.setAttribute("aria-expanded", String(isOpen));
  const details = createPart("artist", "");
  setNames(details, item.details);
  const parts = [createTile(item), createPart("title", name), details];
  if (track) {
    parts.push(createPart("duration", durationOf(item)));
    parts.push(createPart("album", (!item.album && track.album) || ""));
  }
  row.append(...parts.flatMap((part) => [part, " "])); // a space between words, for who reads aloud
  if (kind === "album") row.append(createButton("play", `Play ${name}`));
  row.append(createButton("more", `More for ${name}`));
  return row;
}

/**
 * Load a row's cover, once. Its tile has the album's hue until then.
 * @param {HTMLLIElement} row
 * @param {Item} item
 */
export function addCover(row, { album, track, tracks }) {
  const tile = /** @type {HTMLElement} */ (row.firstElementChild);
  if (tile.dataset.asked || (album && track)) return;
  tile.dataset.asked = "true";
  const cover = new Image();
  cover.decoding = "async";
  cover.alt = "";
  cover.addEventListener("error", () => cover.remove()); // the hue stays
  cover.src = coverUrl(track ?? tracks[0]);
  tile.prepend(cover);
}

/** @param {Item} item */
function createTile({ album, track, tracks, number }) {
  if (album && track) {
    const place = createPart("tile number", "");
    place.append(createPart("", number ?? ""), ...createBars());
    return place;
  }
  const tile = createPart("tile", "");
  tile.dataset.hue = String(hueOf(track ?? tracks[0]));
  if (track) tile.append(...createBars());
  return tile;
}

/** What shows that a track plays. */
function createBars() {
  return [1, 2, 3].map(() => createPart("bar", ""));
}

/** @param {Item} item */
function durationOf({ track }) {
  return track?.duration === undefined ? "" : clockTime(track.duration);
}

/**
 * The name of a row without its buttons. It has what can be seen, in that order.
 * @param {Item} item
 */
function labelOf(item) {
  const { name, number, details, track } = item;
  const album = track && !item.album ? track.album : "";
  const detail = details.filter(Boolean).join(" · ");
  return [number, name, detail, durationOf(item), album].filter(Boolean).join(", ");
}

/**
 * A button for pointers and touch; the keyboard has keys for the same, so Tab passes it by.
 * @param {"play" | "more"} name of the class and of the icon
 * @param {string} label
 */
function createButton(name, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `icon ${name}`;
  button.tabIndex = -1;
  button.setAttribute("aria-label", label);
  if (name === "more") button.setAttribute("aria-haspopup", "menu");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  button.append(svg);
  return button;
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
