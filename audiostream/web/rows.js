// @ts-check
/**
 * The rows of the list of tracks. However long the list is, only the rows that can be seen, and a
 * few around them, are in the document; the space of the others is the list's padding.
 *
 * Here: which rows those are, and the keys that go through them: the list has the focus and names
 * the active row, so no row has to stay in the document for that. Not here: which tracks there
 * are (tracklist.js), what choosing one does (playback.js).
 */

import { coverAddress } from "./catalogue.js";
import { hueOf } from "./cover.js";
import { clock, find } from "./page.js";

/** Rows above and below what can be seen, as a scroll may be ahead of the script. */
const SPARE = 12;
/** Milliseconds without scrolling before pictures are asked for. */
const SETTLED = 120;
/** Milliseconds in which typed letters belong together. */
const TYPING = 800;
/** Tracks from which on a scroll shows where it has come to. */
const LONG = 100;

/** @typedef {import("./catalogue.js").Track} Track */

export class Rows {
  /** @type {Track[]} */
  tracks = [];
  /** The rows in the document by their place in the list. */
  /** @type {Map<number, HTMLLIElement>} */
  #shown = new Map();
  #onChosen;
  /** The place that the keys have come to, -1 for none. */
  #active = -1;
  /** Whether they have moved since the list was last clicked on. */
  #isWalked = false;
  /** @type {string | null} */
  #current = null;
  #isPlaying = false;
  #typed = "";
  /** @type {number | undefined} */
  #typing;
  /** @type {number | undefined} */
  #settling;
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
    // Not in the observer's own turn: the list's height changes with its rows.
    new ResizeObserver(() => requestAnimationFrame(() => this.#render())).observe(list);
  }

  /**
   * @param {Track[]} tracks
   * @param {"same" | "top"} place where the list is scrolled to: to what is seen now, or its top
   */
  show(tracks, place) {
    const before = this.tracks;
    const known = before[this.#active]?.id;
    const seen = place === "same" ? this.#firstSeen() : undefined;
    this.tracks = tracks;
    if (place === "same" && isSame(before, tracks)) return;
    for (const row of this.#shown.values()) row.remove();
    this.#shown.clear();
    this.#active = place === "same" && known ? tracks.findIndex(({ id }) => id === known) : -1;
    this.#render();
    if (place === "top") this.#scrollToTop();
    else if (seen) this.#keepPlace(seen.id, seen.index);
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
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settled(), SETTLED);
  }

  #settled() {
    this.#settling = undefined;
    for (const [index, row] of this.#shown) addPicture(row, this.tracks[index]);
    setTimeout(() => {
      if (this.#settling === undefined) this.#place.hidden = true;
    }, TYPING);
  }

  /** Put the rows that can be seen into the document, and take the others out of it. */
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
    const spare = Math.max(1, Math.floor(SPARE / columns));
    const { top } = list.getBoundingClientRect();
    const seenFrom = Math.floor(-top / height);
    const seenTo = Math.ceil((innerHeight - top) / height);
    const first = clamp(seenFrom - spare, 0, lines);
    const last = clamp(seenTo + spare, first, lines);
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
   * How many rows stand side by side, and how far one line is from the next; all are of one size.
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
    const row = rowOf(this.tracks[index], index, this.tracks.length);
    if (this.#settling === undefined) addPicture(row, this.tracks[index]);
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

  /** The first track below what sticks to the top, if the list's own top cannot be seen. */
  #firstSeen() {
    const { columns, height } = this.#layout();
    const hidden = this.#edges().top - this.#list.getBoundingClientRect().top;
    if (!height || hidden <= 0) return undefined;
    const index = Math.min(Math.ceil(hidden / height) * columns, this.tracks.length - 1);
    return { index, id: this.tracks[index].id };
  }

  /**
   * Rows that came or went above do not move what a person looks at.
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

  /** Pixels from the window's top between which a row is not under anything else. */
  #edges() {
    const style = getComputedStyle(document.documentElement);
    const top = parseFloat(style.scrollPaddingTop) || 0;
    return { top, bottom: innerHeight - (parseFloat(style.scrollPaddingBottom) || 0) };
  }

  #showPlace() {
    const seen = this.tracks.length >= LONG ? this.#firstSeen() : undefined;
    this.#place.hidden = !seen;
    if (!seen) return;
    const { albumArtist, artist, title } = this.tracks[seen.index];
    this.#place.textContent = albumArtist || artist || title;
  }

  /** @param {Event} event */
  #clicked({ target }) {
    const row = /** @type {Element} */ (target).closest("li");
    const index = Number(row?.getAttribute("aria-posinset")) - 1;
    if (!this.tracks[index]) return;
    this.#isWalked = false;
    this.#active = index;
    this.#nameActive();
    this.#onChosen(this.tracks[index]);
  }

  #focused() {
    this.#isWalked = true; // unless a click follows
    if (this.#shown.has(this.#active)) return;
    const seen = this.#firstSeen();
    this.#active = this.tracks.length ? (seen?.index ?? 0) : -1;
    this.#nameActive();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.tracks.length) return;
    const goal = this.#goal(event);
    if (goal !== undefined) this.#walk(goal);
    else if (event.key === "Enter" || (event.key === " " && this.#isWalked && !event.repeat)) {
      this.#onChosen(this.tracks[Math.max(0, this.#active)]);
    } else if (!this.#type(event.key)) return;
    event.preventDefault();
  }

  /**
   * Where a key leads to.
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

  /** @param {number} goal */
  #walk(goal) {
    const active = clamp(goal, 0, this.tracks.length - 1);
    this.#isWalked = true;
    this.#active = active;
    const { columns, height, gap } = this.#layout();
    const { top, bottom } = this.#edges();
    const at = this.#list.getBoundingClientRect().top + Math.floor(active / columns) * height;
    if (at < top) scrollBy(0, at - top);
    else if (at + height - gap > bottom) scrollBy(0, at + height - gap - bottom);
    this.#render();
  }

  /**
   * Letters lead to the next track whose title begins with them, as in every list box.
   * @param {string} key
   * @returns {boolean} whether the key is such a letter
   */
  #type(key) {
    if ([...key].length > 1 || key === "/" || (key === " " && !this.#typed)) return false;
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => (this.#typed = ""), TYPING);
    this.#typed += key.toLowerCase();
    const from = Math.max(0, this.#active) + (this.#typed.length > 1 ? 0 : 1);
    const order = [...this.tracks.keys()].map((each) => (each + from) % this.tracks.length);
    const found = order.find((index) =>
      this.tracks[index].title.toLowerCase().startsWith(this.#typed),
    );
    if (found !== undefined) this.#walk(found);
    return true;
  }

  /** Say which row the keys are at, as long as it is in the document. */
  #nameActive() {
    const row = this.#shown.get(this.#active);
    for (const each of this.#list.querySelectorAll(".active")) each.classList.remove("active");
    row?.classList.add("active");
    if (row) this.#list.setAttribute("aria-activedescendant", row.id);
    else this.#list.removeAttribute("aria-activedescendant");
  }
}

/**
 * @param {Track[]} some
 * @param {Track[]} others
 * @returns {boolean} whether their rows look the same; the tickets in their addresses may differ
 */
function isSame(some, others) {
  if (some.length !== others.length) return false;
  /** @type {(keyof Track)[]} */
  const seen = ["id", "title", "artist", "album", "duration"];
  return some.every((track, index) => seen.every((key) => track[key] === others[index][key]));
}

/**
 * @param {Track} track
 * @param {number} index
 * @param {number} count
 */
function rowOf(track, index, count) {
  const row = document.createElement("li");
  row.id = `track-${index}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-posinset", String(index + 1));
  row.setAttribute("aria-setsize", String(count));
  const tile = part("tile", "");
  tile.dataset.hue = String(hueOf(track));
  tile.append(part("bar", ""), part("bar", ""), part("bar", ""));
  row.append(
    tile,
    part("title", track.title),
    part("artist", track.artist ?? ""),
    part("album", track.album ?? ""),
    part("duration", track.duration === undefined ? "" : clock(track.duration)),
  );
  return row;
}

/**
 * @param {string} name
 * @param {string} text
 */
function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  if (text) span.dir = "auto";
  return span;
}

/**
 * Show a row's picture; its tile has the album's hue until then.
 * @param {HTMLLIElement} row
 * @param {Track} track
 */
function addPicture(row, track) {
  const tile = /** @type {HTMLElement} */ (row.firstElementChild);
  if (tile.dataset.asked) return;
  tile.dataset.asked = "true";
  const picture = new Image();
  picture.decoding = "async";
  picture.alt = "";
  picture.addEventListener("error", () => picture.remove()); // the hue is there
  picture.src = coverAddress(track);
  tile.prepend(picture);
}

/**
 * @param {number} number
 * @param {number} least
 * @param {number} most
 */
function clamp(number, least, most) {
  return Math.max(least, Math.min(number, most));
}
