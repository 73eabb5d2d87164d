// @ts-check
/**
 * The rows of the queue in the document. One row is a tab stop with its three buttons, so that the
 * keyboard does not pass through a thousand.
 */

import { keysOf } from "./queue-order.js";
import { createQueueRow, showEntry, showPlace } from "./queue-row.js";

/** The buttons of a row, in their order. */
export const GRAB = 0;
export const ENTRY = 1;

/** @typedef {import("./queue-row.js").Entry} Entry */

/**
 * @typedef {object} Places
 * @property {number | null} now the index of what plays
 * @property {number | null} next the index of what follows it
 */

export class QueueRows {
  /** The index of the tab stop. */
  active = 0;
  #list;
  /** @type {HTMLLIElement[]} in the order of the document */
  #rows = [];
  /** @type {Map<string, HTMLLIElement>} by the keys of their entries */
  #known = new Map();
  /** @type {WeakMap<HTMLLIElement, Entry["track"]>} what they show */
  #shown = new WeakMap();

  /** @param {HTMLOListElement} list */
  constructor(list) {
    this.#list = list;
  }

  get count() {
    return this.#rows.length;
  }

  /**
   * @param {Entry[]} entries
   * @param {Places} places
   */
  show(entries, { now, next }) {
    const focused = this.focusedButton;
    const keys = keysOf(entries.map(({ id }) => id));
    this.#rows = keys.map((key) => this.#known.get(key) ?? createQueueRow());
    this.#known = new Map(keys.map((key, index) => [key, this.#rows[index]]));
    this.#rows.forEach((row, index) => {
      const { track } = entries[index];
      if (!this.#shown.has(row) || this.#shown.get(row) !== track) showEntry(row, track);
      this.#shown.set(row, track);
      const isPlayed = now !== null && index < now;
      const later = isPlayed ? "played" : "later";
      showPlace(row, index === now ? "now" : index === next ? "next" : later);
    });
    this.#arrange();
    this.setActive(this.active);
    if (focused !== undefined) this.focus(this.active, focused);
  }

  /** Which button of the active row has the focus, undefined for none. */
  get focusedButton() {
    const { activeElement } = document;
    const row = activeElement?.parentElement;
    if (!row || row.parentElement !== this.#list) return undefined;
    return [...row.children].indexOf(activeElement);
  }

  /** @param {number} index of the tab stop, or the nearest to it */
  setActive(index) {
    this.active = this.clamp(index);
    const row = this.#rows[this.active];
    for (const stop of this.#list.querySelectorAll('[tabindex="0"]')) {
      if (stop.parentElement !== row) setTabStops(stop.parentElement, -1);
    }
    setTabStops(row, 0);
  }

  /**
   * @param {number} index
   * @param {number} button
   */
  focus(index, button) {
    this.setActive(index);
    const { children = [] } = this.#rows[this.active] ?? {};
    const wanted = /** @type {HTMLButtonElement | undefined} */ (children[button]);
    const target = wanted?.disabled ? children[ENTRY] : wanted;
    /** @type {HTMLButtonElement | undefined} */ (target)?.focus();
  }

  /**
   * Show whether the arrow keys move the active row.
   * @param {boolean} isGrabbed
   */
  setGrabbed(isGrabbed) {
    for (const grab of this.#list.querySelectorAll('[aria-pressed="true"]')) {
      grab.setAttribute("aria-pressed", "false");
    }
    this.#rows[this.active]?.children[GRAB].setAttribute("aria-pressed", String(isGrabbed));
  }

  /** @param {number} index one row of those before it stays visible */
  scrollTo(index) {
    const row = this.#rows[index];
    if (row) this.#list.scrollTop = row.offsetTop - row.offsetHeight;
  }

  /**
   * @param {EventTarget | null} target an element
   * @returns {number} the index of its row, -1 where it is in none
   */
  indexOf(target) {
    const row = /** @type {Element} */ (target).closest("li");
    return row ? this.#rows.indexOf(row) : -1;
  }

  /**
   * @param {number} index
   * @returns {string} like "Late Tram, place 3 of 12"
   */
  describe(index) {
    const title = this.#rows[index]?.querySelector(".title")?.textContent;
    return `${title}, place ${index + 1} of ${this.count}`;
  }

  /** @param {number} index */
  clamp(index) {
    return Math.max(0, Math.min(index, this.count - 1));
  }

  /** Put the rows into the document in their order. */
  #arrange() {
    const wanted = new Set(this.#rows);
    for (const row of [...this.#list.querySelectorAll("li")]) {
      if (!wanted.has(row)) row.remove();
    }
    let next = this.#list.firstElementChild;
    for (const row of this.#rows) {
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
    }
  }
}

/**
 * @param {Element | null | undefined} row
 * @param {number} tabIndex
 */
function setTabStops(row, tabIndex) {
  for (const button of row?.children ?? []) {
    /** @type {HTMLElement} */ (button).tabIndex = tabIndex;
  }
}
