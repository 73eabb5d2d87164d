// @ts-check
/**
 * The rows of the list of tracks. However long the list is, only the rows that can be seen and a
 * few around them are in the document; padding takes the space of the others. The list has the
 * focus and names the active row, so no row has to stay in the document for the keyboard.
 */

import { find } from "./dom.js";
import { addCover, createRow } from "./row.js";
import { TypeAhead } from "./type-ahead.js";

/** Rows above and below the visible ones, as scrolling may be ahead of the script. */
const SPARE_ROWS = 12;
/** Milliseconds without scrolling before covers are loaded. */
const SCROLL_PAUSE = 120;
/** Milliseconds after that in which the place that was scrolled to is still shown. */
const PLACE_SHOWN = 800;
/** Tracks from which on scrolling shows the place. */
const LONG_LIST = 100;

/** @typedef {import("../client.js").Track} Track */

export class Rows {
  /** @type {Track[]} */
  tracks = [];
  /** @type {Map<number, HTMLLIElement>} the rows in the document by their index */
  #shown = new Map();
  #onChosen;
  /** The index of the row that the keyboard is at, -1 for none. */
  #active = -1;
  /** Whether the keyboard moved there since the last click on the list. */
  #isByKeyboard = false;
  /** @type {string | null} */
  #current = null;
  #isPlaying = false;
  #typeAhead = new TypeAhead();
  /** @type {ReturnType<typeof setTimeout> | undefined} undefined while nothing scrolls */
  #scrollTimer;
  #list = find("tracks", HTMLUListElement);
  #place = find("place");

  /** @param {(track: Track) => void} onChosen */
  constructor(onChosen) {
    this.#onChosen = onChosen;
    const list = this.#list;
    list.addEventListener("click", (event) => this.#clicked(event));
    list.addEventListener("keydown", (event) => this.#pressed(event));
    list.addEventListener("focus", () => this.#focused());
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("resize", () => this.#render());
    // In a later frame: rendering changes the list's height, which the observer would report again.
    new ResizeObserver(() => requestAnimationFrame(() => this.#render())).observe(list);
  }

  /**
   * @param {Track[]} tracks
   * @param {"same" | "top"} place what to scroll to: the first row that is visible now, or the top
   */
  show(tracks, place) {
    const before = this.tracks;
    const known = before[this.#active]?.id;
    const first = place === "same" ? this.#firstVisible() : undefined;
    this.tracks = tracks;
    if (place === "same" && isSame(before, tracks)) return;
    for (const row of this.#shown.values()) row.remove();
    this.#shown.clear();
    this.#active = place === "same" && known ? tracks.findIndex(({ id }) => id === known) : -1;
    this.#render();
    if (place === "top") this.#scrollToTop();
    else if (first) this.#keepPlace(first.id, first.index);
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
  }

  #scrolled() {
    this.#render();
    this.#showPlace();
    clearTimeout(this.#scrollTimer);
    this.#scrollTimer = setTimeout(() => this.#scrollEnded(), SCROLL_PAUSE);
  }

  #scrollEnded() {
    this.#scrollTimer = undefined;
    for (const [index, row] of this.#shown) addCover(row, this.tracks[index]);
    setTimeout(() => {
      if (this.#scrollTimer === undefined) this.#place.hidden = true;
    }, PLACE_SHOWN);
  }

  /** Put the visible rows into the document, and remove the others. */
  #render() {
    const list = this.#list;
    const count = this.tracks.length;
    list.hidden = !count;
    const { columns, height, gap } = this.#layout();
    if (!height) {
      this.#pad(0, 0);
      return this.#nameActive();
    }
    const lines = Math.ceil(count / columns);
    const spare = Math.max(1, Math.floor(SPARE_ROWS / columns));
    const { top } = list.getBoundingClientRect();
    const first = clamp(Math.floor(-top / height) - spare, 0, lines);
    const last = clamp(Math.ceil((innerHeight - top) / height) + spare, first, lines);
    this.#replace(first * columns, Math.min(last * columns, count));
    this.#pad(first * height, Math.max(0, lines * height - gap));
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
    let next = this.#list.firstElementChild;
    for (let index = from; index < to; index += 1) {
      const row = this.#shown.get(index);
      if (row) next = row.nextElementSibling;
      else this.#list.insertBefore(this.#add(index), next);
    }
    this.#nameActive();
  }

  /**
   * @param {number} above pixels
   * @param {number} height pixels
   */
  #pad(above, height) {
    const { style } = this.#list;
    style.paddingTop = `${above}px`;
    style.height = `${height}px`;
  }

  /**
   * The number of rows side by side, and the distance of two lines; all rows are of one size.
   * @returns {{ columns: number, height: number, gap: number }} pixels; no height while hidden
   */
  #layout() {
    if (!this.tracks.length) return { columns: 1, height: 0, gap: 0 };
    if (!this.#shown.size) this.#list.append(this.#add(0));
    const [row] = this.#shown.values();
    const style = getComputedStyle(this.#list);
    const isGrid = style.display === "grid";
    const gap = isGrid ? parseFloat(style.rowGap) || 0 : 0;
    const columns = isGrid ? style.gridTemplateColumns.split(" ").length : 1;
    const { height } = row.getBoundingClientRect();
    return { columns, height: height && height + gap, gap };
  }

  /** @param {number} index */
  #add(index) {
    const row = createRow(this.tracks[index], index, this.tracks.length);
    if (this.#scrollTimer === undefined) addCover(row, this.tracks[index]);
    this.#mark(row, index);
    this.#shown.set(index, row);
    return row;
  }

  /**
   * @param {HTMLLIElement} row
   * @param {number} index
   */
  #mark(row, index) {
    const isCurrent = this.tracks[index].id === this.#current;
    row.setAttribute("aria-selected", String(isCurrent));
    row.dataset.playing = String(isCurrent && this.#isPlaying);
    row.classList.toggle("active", index === this.#active);
  }

  /** The first track below what sticks to the top, undefined while the list's top is visible. */
  #firstVisible() {
    const { columns, height } = this.#layout();
    const hidden = this.#edges().top - this.#list.getBoundingClientRect().top;
    if (!height || hidden <= 0) return undefined;
    const index = Math.min(Math.ceil(hidden / height) * columns, this.tracks.length - 1);
    return { index, id: this.tracks[index].id };
  }

  /**
   * Scroll so that rows that were added or removed above do not move the visible ones.
   * @param {string} id
   * @param {number} index where it was
   */
  #keepPlace(id, index) {
    const now = this.tracks.findIndex((track) => track.id === id);
    const { columns, height } = this.#layout();
    if (now < 0 || now === index) return;
    scrollBy(0, (Math.floor(now / columns) - Math.floor(index / columns)) * height);
    this.#render();
  }

  #scrollToTop() {
    const { top } = this.#list.getBoundingClientRect();
    const edge = this.#edges().top;
    if (top < 0) scrollBy(0, top - edge);
    this.#render();
  }

  /** The part of the window, in pixels from its top, where nothing covers a row. */
  #edges() {
    const style = getComputedStyle(document.documentElement);
    const top = parseFloat(style.scrollPaddingTop) || 0;
    return { top, bottom: innerHeight - (parseFloat(style.scrollPaddingBottom) || 0) };
  }

  #showPlace() {
    const first = this.tracks.length >= LONG_LIST ? this.#firstVisible() : undefined;
    this.#place.hidden = !first;
    if (!first) return;
    const { albumArtist, artist, title } = this.tracks[first.index];
    this.#place.textContent = albumArtist || artist || title;
  }

  /** @param {Event} event */
  #clicked({ target }) {
    const row = /** @type {Element} */ (target).closest("li");
    const index = Number(row?.getAttribute("aria-posinset")) - 1;
    if (!this.tracks[index]) return;
    this.#isByKeyboard = false;
    this.#active = index;
    this.#nameActive();
    this.#onChosen(this.tracks[index]);
  }

  #focused() {
    this.#isByKeyboard = true; // unless a click follows
    if (this.#shown.has(this.#active)) return;
    this.#active = this.tracks.length ? (this.#firstVisible()?.index ?? 0) : -1;
    this.#nameActive();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.tracks.length) return;
    const { key } = event;
    const goal = this.#goal(event);
    if (goal !== undefined) {
      this.#moveTo(goal);
    } else if (key === "Enter" || (key === " " && this.#isByKeyboard && !event.repeat)) {
      this.#onChosen(this.tracks[Math.max(0, this.#active)]);
    } else {
      const found = this.#typeAhead.find(key, this.tracks, this.#active);
      if (found === null) return;
      if (found !== undefined) this.#moveTo(found);
    }
    event.preventDefault();
  }

  /**
   * The index that a key leads to.
   * @param {KeyboardEvent} event
   * @returns {number | undefined}
   */
  #goal({ key, shiftKey }) {
    if (shiftKey) return undefined;
    const { columns, height } = this.#layout();
    const { top, bottom } = this.#edges();
    const page = Math.max(1, Math.floor((bottom - top) / height) - 1) * columns;
    const steps = { ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page };
    const ends = { Home: -Infinity, End: Infinity };
    /** @type {Record<string, number>} */
    const goals = { ...steps, ...ends };
    if (columns > 1) Object.assign(goals, { ArrowLeft: -1, ArrowRight: 1 });
    const step = goals[key];
    return step === undefined ? undefined : this.#active + step;
  }

  /** @param {number} goal an index, or one beyond either end */
  #moveTo(goal) {
    const active = clamp(goal, 0, this.tracks.length - 1);
    this.#isByKeyboard = true;
    this.#active = active;
    const { columns, height, gap } = this.#layout();
    const { top, bottom } = this.#edges();
    const at = this.#list.getBoundingClientRect().top + Math.floor(active / columns) * height;
    if (at < top) scrollBy(0, at - top);
    else if (at + height - gap > bottom) scrollBy(0, at + height - gap - bottom);
    this.#render();
  }

  /** Name the active row to assistive technology, as long as it is in the document. */
  #nameActive() {
    const row = this.#shown.get(this.#active);
    for (const each of this.#list.querySelectorAll(".active")) each.classList.remove("active");
    row?.classList.add("active");
    if (row) this.#list.setAttribute("aria-activedescendant", row.id);
    else this.#list.removeAttribute("aria-activedescendant");
  }
}

/**
 * Whether two lists have the same rows; the tickets in their URLs may differ.
 * @param {Track[]} some
 * @param {Track[]} others
 */
function isSame(some, others) {
  if (some.length !== others.length) return false;
  /** @type {(keyof Track)[]} */
  const shown = ["id", "title", "artist", "album", "duration"];
  return some.every((track, index) => shown.every((key) => track[key] === others[index][key]));
}

/**
 * @param {number} number
 * @param {number} least
 * @param {number} most
 */
function clamp(number, least, most) {
  return Math.max(least, Math.min(number, most));
}
