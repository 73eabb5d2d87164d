// @ts-check
/**
 * The list of the library. However long it is, only the rows that can be seen and a few around them
 * are in the document; padding takes the space of the others. The list has the focus and names the
 * active row, so no row has to stay in the document for the keyboard.
 */

import { find } from "../dom.js";
import { Lines } from "./lines.js";
import { addCover, createRow } from "./row.js";

/** Lines above and below the visible ones, as scrolling may be ahead of the script. */
const SPARE_LINES = 12;
/** Milliseconds without scrolling before covers are loaded. */
const SCROLL_PAUSE = 120;
/** Milliseconds after that in which the place that was scrolled to is still shown. */
const PLACE_SHOWN = 800;
/** Items from which on scrolling shows the place. */
const LONG_LIST = 100;

/** @typedef {import("./views.js").Item} Item */

export class VirtualList {
  /** @type {readonly Item[]} */
  items = [];
  element = find("tracks", HTMLUListElement);
  /** The index of the item that the keyboard is at, -1 for none. */
  active = -1;
  /** @type {Map<number, HTMLLIElement>} the rows in the document by their index */
  #shown = new Map();
  /** @type {Lines | null} null while nothing is known of the sizes */
  #lines = null;
  /** @type {Record<string, number>} heights by kind */
  #heights = {};
  #gap = 0;
  /** @type {string | null} */
  #current = null;
  #isPlaying = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} undefined while nothing scrolls */
  #scrollTimer;
  #place = find("place");

  constructor() {
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("resize", () => this.#resized());
    // In a later frame: rendering changes the list's height, which the observer would report again.
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width === width) return;
      width = contentRect.width;
      requestAnimationFrame(() => this.#resized());
    }).observe(this.element);
  }

  /**
   * @param {readonly Item[]} items
   * @param {"same" | "top"} place what to scroll to: the first row that is visible now, or the top
   */
  show(items, place) {
    const before = this.items;
    const known = before[this.active]?.key;
    const first = place === "same" ? this.firstVisible() : -1;
    this.items = items;
    if (place === "same" && isSame(before, items)) return;
    const y = first < 0 ? 0 : this.#topOf(first);
    this.#lines = null;
    this.#removeRows();
    this.active = place === "same" && known ? items.findIndex(({ key }) => key === known) : -1;
    this.render();
    if (place === "top") this.#scrollToTop();
    else if (first >= 0) this.#keepPlace(before[first].key, y);
  }

  /**
   * Mark the current track.
   * @param {string | null} id
   * @param {boolean} isPlaying
   */
  mark(id, isPlaying) {
    if (id === this.#current && isPlaying === this.#isPlaying) return;
    this.#current = id;
    this.#isPlaying = isPlaying;
    for (const [index, row] of this.#shown) this.#mark(row, index);
    if (this.#lines) this.render(); // the bold name of the active row may take another line
  }

  /** Where things are now; null while the list cannot be seen. */
  get lines() {
    this.#lines ??= this.#measure();
    return this.#lines;
  }

  /** The part of the window, in pixels from its top, where nothing covers a row. */
  get edges() {
    const style = getComputedStyle(document.documentElement);
    const top = parseFloat(style.scrollPaddingTop) || 0;
    return { top, bottom: innerHeight - (parseFloat(style.scrollPaddingBottom) || 0) };
  }

  /** The first item below what sticks to the top, -1 while the list's top is visible. */
  firstVisible() {
    const { lines } = this;
    const hidden = this.edges.top - this.element.getBoundingClientRect().top;
    if (!lines?.count || hidden <= 0) return -1;
    const line = lines.lineAt(hidden);
    return lines.first(Math.min(line + Number(lines.top(line) < hidden), lines.count - 1));
  }

  /**
   * Make an item the active one, and scroll until it can be seen.
   * @param {number} index
   * @param {"nearest" | "middle" | "top"} [where] to have it
   */
  goTo(index, where = "nearest") {
    this.active = index;
    const { lines } = this;
    if (!lines) return;
    lines.expand(-1, 0);
    const { top, bottom } = this.edges;
    const at = this.#topOf(index);
    const room = bottom - top - (this.#heights[this.items[index].kind] - this.#gap);
    if (where === "middle") scrollBy(0, at - top - room / 2);
    else if (where === "top" || at < top) scrollBy(0, at - top);
    else if (at > top + room) scrollBy(0, at - top - room);
    this.render();
    const below = (this.#shown.get(index)?.getBoundingClientRect().bottom ?? 0) - bottom;
    if (below > 0 && where === "nearest") scrollBy(0, below); // it shows its names in full
  }

  /** Put the visible rows into the document, and remove the others. */
  render() {
    this.element.hidden = !this.items.length;
    const { lines } = this;
    if (!lines) {
      this.#removeRows();
      return this.#pad(0, 0);
    }
    const { top } = this.element.getBoundingClientRect();
    const [first, end] = lines.window(-top, innerHeight - top, SPARE_LINES);
    this.#replace(lines.first(first), lines.first(end));
    const isChanged = this.nameActive();
    this.#pad(lines.top(first), Math.max(0, lines.height - this.#gap));
    if (isChanged) this.render();
  }

  /**
   * Name the active row to assistive technology, as long as it is in the document. It shows its
   * names in full, and may be taller than the others.
   * @returns {boolean} whether that changed the places of the rows after it
   */
  nameActive() {
    const row = this.#shown.get(this.active);
    for (const each of this.element.querySelectorAll(".active")) {
      if (each !== row) each.classList.remove("active");
    }
    row?.classList.add("active");
    if (row) this.element.setAttribute("aria-activedescendant", row.id);
    else this.element.removeAttribute("aria-activedescendant");
    if (!row) return this.active < 0 && Boolean(this.#lines?.expand(-1, 0));
    const usual = this.#heights[this.items[this.active].kind] - this.#gap;
    const extra = Math.max(0, row.getBoundingClientRect().height - usual);
    return Boolean(this.#lines?.expand(this.active, extra));
  }

  #resized() {
    this.#lines = null;
    this.render();
  }

  #scrolled() {
    this.render();
    this.#showPlace();
    clearTimeout(this.#scrollTimer);
    this.#scrollTimer = setTimeout(() => this.#scrollEnded(), SCROLL_PAUSE);
  }

  #scrollEnded() {
    this.#scrollTimer = undefined;
    for (const [index, row] of this.#shown) addCover(row, this.items[index]);
    setTimeout(() => {
      if (this.#scrollTimer === undefined) this.#place.hidden = true;
    }, PLACE_SHOWN);
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  #replace(from, to) {
    for (const [index, row] of this.#shown) {
      if (index >= from && index < to) continue;
      row.remove();
      this.#shown.delete(index);
    }
    let next = this.element.firstElementChild;
    for (let index = from; index < to; index += 1) {
      const row = this.#shown.get(index);
      if (row) next = row.nextElementSibling;
      else this.element.insertBefore(this.#add(index), next);
    }
  }

  #removeRows() {
    for (const row of this.#shown.values()) row.remove();
    this.#shown.clear();
  }

  /**
   * @param {number} above pixels
   * @param {number} height pixels
   */
  #pad(above, height) {
    const { style } = this.element;
    style.paddingTop = `${above}px`;
    style.height = `${height}px`;
  }

  /** @returns {Lines | null} */
  #measure() {
    if (!this.items.length || !this.element.checkVisibility()) return null;
    const style = getComputedStyle(this.element);
    this.#gap = parseFloat(style.rowGap) || 0;
    const kinds = [...new Set(this.items.map(({ kind }) => kind))];
    const heights = kinds.map((kind) => [kind, this.#heightOf(kind) + this.#gap]);
    this.#heights = Object.fromEntries(heights);
    const columns = style.gridTemplateColumns.split(" ").length;
    return new Lines(this.items, { heights: this.#heights, columns });
  }

  /** @param {string} kind */
  #heightOf(kind) {
    const index = this.items.findIndex((item) => item.kind === kind);
    const row = createRow(this.items[index], index);
    this.element.append(row);
    const { height } = row.getBoundingClientRect();
    row.remove();
    return height;
  }

  /** @param {number} index */
  #add(index) {
    const item = this.items[index];
    const row = createRow(item, index);
    if (this.#scrollTimer === undefined) addCover(row, item);
    this.#mark(row, index);
    this.#shown.set(index, row);
    return row;
  }

  /**
   * @param {HTMLLIElement} row
   * @param {number} index
   */
  #mark(row, index) {
    const { track } = this.items[index];
    if (!track) return;
    const isCurrent = track.id === this.#current;
    row.setAttribute("aria-selected", String(isCurrent));
    row.dataset.playing = String(isCurrent && this.#isPlaying);
  }

  /**
   * @param {number} index
   * @returns {number} the top of its line in pixels from the top of the window
   */
  #topOf(index) {
    const { lines } = this;
    const { top } = this.element.getBoundingClientRect();
    return lines ? top + lines.top(lines.lineOf(index)) : top;
  }

  /**
   * Scroll so that rows that were added or removed above do not move the visible ones.
   * @param {string} key
   * @param {number} y where it was, in pixels from the top of the window
   */
  #keepPlace(key, y) {
    const index = this.items.findIndex((item) => item.key === key);
    if (index < 0) return;
    scrollBy(0, this.#topOf(index) - y);
    this.render();
  }

  #scrollToTop() {
    const { top } = this.element.getBoundingClientRect();
    if (top < 0) scrollBy(0, top - this.edges.top);
    this.render();
  }

  #showPlace() {
    const first = this.items.length >= LONG_LIST ? this.firstVisible() : -1;
    let index = first;
    while (index > 0 && this.items[index].level > 1) index -= 1;
    const text = first < 0 ? "" : this.items[index].place;
    this.#place.hidden = !text;
    this.#place.textContent = text;
  }
}

/**
 * Whether two lists have the same rows; the tickets in their URLs may differ.
 * @param {readonly Item[]} some
 * @param {readonly Item[]} others
 */
function isSame(some, others) {
  if (some.length !== others.length) return false;
  return some.every((item, index) => textOf(item) === textOf(others[index]));
}

/** @param {Item} item all that its row shows */
function textOf({ key, name, number, details, isOpen, track }) {
  return [key, name, number, isOpen, track?.album, track?.duration, ...details].join("\n");
}
