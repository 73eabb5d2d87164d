// @ts-check
/** The elements of one place in the queue. */

import { find, setNames, setText } from "../dom.js";
import { clockTime } from "../format.js";

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {"now" | "next" | "played" | "later"} Place */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {Track | null | undefined} track null for one that has left the library, undefined
 *     while the library is not loaded
 */

const TAGS = { now: "Now", next: "Next", played: "", later: "" };

/** @returns {HTMLLIElement} a row without a track */
export function createQueueRow() {
  const { content } = find("queue-row", HTMLTemplateElement);
  const row = content.firstElementChild?.cloneNode(true);
  if (!(row instanceof HTMLLIElement)) throw new Error("index.html lacks the row of a queue");
  return row;
}

/**
 * @param {HTMLLIElement} row
 * @param {Entry["track"]} track
 */
export function showEntry(row, track) {
  const [grab, entry, remove] = row.children;
  const title = track === undefined ? "…" : (track?.title ?? "No longer in the library");
  const [heading, by] = entry.children;
  row.dataset.gone = String(track === null);
  setText(heading, title);
  const duration = track?.duration === undefined ? "" : clockTime(track.duration);
  setNames(by, [track?.artist, duration]);
  grab.setAttribute("aria-label", `Move ${title}`);
  remove.setAttribute("aria-label", `Remove ${title}`);
}

/**
 * @param {HTMLLIElement} row
 * @param {Place} place
 */
export function showPlace(row, place) {
  if (row.dataset.place === place) return;
  row.dataset.place = place;
  const [, entry, remove] = row.children;
  setText(entry.children[2], TAGS[place]);
  if (place === "now") entry.setAttribute("aria-current", "true");
  else entry.removeAttribute("aria-current");
  // Without it, the queue would begin anew at the end of the track.
  /** @type {HTMLButtonElement} */ (remove).disabled = place === "now";
}
