// @ts-check
/**
 * The list of tracks, its search, and what stands there when there are none.
 *
 * Here: asking the catalogue and showing the answer. Not here: what choosing a track does
 * (playback.js), the requests themselves (catalogue.js).
 */

import { coverAddress, RequestFailed } from "./catalogue.js";
import { hueOf } from "./cover.js";
import { clock, counted, find } from "./page.js";

/** Rows that are added at a time: a long list must not delay the first of them. */
const ROWS = 200;
/** Milliseconds without a key before a search starts. */
const TYPING_PAUSE = 180;

/** @typedef {import("./catalogue.js").Track} Track */
/** @typedef {import("./catalogue.js").Catalogue} Catalogue */

/**
 * @typedef {object} Hooks
 * @property {(track: Track) => void} onChosen
 * @property {(tracks: Track[]) => void} onLibrary the whole library, whenever it was read
 * @property {(error: RequestFailed) => void} onRequestFailed
 */

export class TrackList {
  #hooks;
  /** @type {Catalogue | null} */
  #catalogue = null;
  /** @type {Track[]} */
  #tracks = [];
  /** @type {string | null} */
  #current = null;
  #isPlaying = false;
  #shown = "";
  #request = new AbortController();
  /** @type {number | undefined} */
  #typing;
  #list = find("tracks", HTMLUListElement);
  #more = find("more", HTMLButtonElement);
  #search = find("search", HTMLInputElement);

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.load(), TYPING_PAUSE);
    });
    find("search-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    find("again").addEventListener("click", () => this.load());
    this.#list.addEventListener("click", (event) => this.#choose(event));
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
    this.#more.addEventListener("click", () => this.#addRows());
    new IntersectionObserver(([seen]) => {
      if (seen.isIntersecting) this.#addRows();
    }).observe(this.#more);
  }

  /**
   * Show what this catalogue has, once `load` is called.
   * @param {Catalogue} catalogue
   */
  open(catalogue) {
    this.#catalogue = catalogue;
    this.#search.value = "";
    find("count").textContent = "";
    find("empty").hidden = true;
  }

  /** Forget everything. */
  close() {
    clearTimeout(this.#typing);
    this.#request.abort();
    this.#catalogue = null;
    this.#tracks = [];
    this.#shown = "";
    this.#list.replaceChildren();
  }

  /** Ask again, with what stands in the search box. */
  async load() {
    clearTimeout(this.#typing);
    this.#request.abort();
    this.#request = new AbortController();
    const query = this.#search.value.trim();
    try {
      const tracks = await this.#catalogue?.list(query, this.#request.signal);
      if (tracks) this.#show(tracks, query);
    } catch (error) {
      if (error instanceof RequestFailed) this.#hooks.onRequestFailed(error);
      else if (/** @type {Error} */ (error).name !== "AbortError") throw error;
    }
  }

  /** Say that the tracks could not be read at all. */
  fail() {
    if (this.#tracks.length) return;
    this.#explain("The library is out of reach", "It appears here once the server answers.");
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
    for (const row of this.#list.querySelectorAll("button")) this.#markRow(row);
  }

  /**
   * @param {Track[]} tracks
   * @param {string} query
   */
  #show(tracks, query) {
    this.#tracks = tracks;
    if (!query) this.#hooks.onLibrary(tracks);
    this.#showCount(tracks.length, query);
    const shown = JSON.stringify([query, tracks.map(({ streamUrl, ...rest }) => rest)]);
    if (shown === this.#shown) return; // keep the place and the focus
    this.#shown = shown;
    this.#list.replaceChildren();
    this.#addRows();
  }

  /**
   * @param {number} count
   * @param {string} query
   */
  #showCount(count, query) {
    find("count").textContent = counted(count, "track");
    find("empty").hidden = count > 0;
    if (count > 0) return;
    if (query) this.#explain(`Nothing matches “${query}”`, "Try a title, an artist or an album.");
    else this.#explain("No audio yet", "Put audio files into the server’s media folder.");
  }

  /**
   * @param {string} title
   * @param {string} advice
   */
  #explain(title, advice) {
    const empty = find("empty");
    empty.hidden = false;
    find("again").hidden = this.#search.value !== "";
    /** @type {HTMLElement} */ (empty.querySelector("h2")).textContent = title;
    /** @type {HTMLElement} */ (empty.querySelector("p")).textContent = advice;
  }

  #addRows() {
    const from = this.#list.childElementCount;
    const rows = this.#tracks.slice(from, from + ROWS).map((track) => this.#row(track));
    this.#list.append(...rows);
    this.#more.hidden = from + rows.length >= this.#tracks.length;
  }

  /** @param {Track} track */
  #row(track) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.id = track.id;
    button.append(
      mark(track),
      part("title", track.title),
      part("artist", track.artist ?? ""),
      part("album", track.album ?? ""),
      part("duration", track.duration === undefined ? "" : clock(track.duration)),
    );
    this.#markRow(button);
    item.append(button);
    return item;
  }

  /** @param {HTMLButtonElement} row */
  #markRow(row) {
    const isCurrent = row.dataset.id === this.#current;
    if (isCurrent) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    row.dataset.playing = String(isCurrent && this.#isPlaying);
  }

  /** @param {Event} event */
  #choose(event) {
    const button = /** @type {Element} */ (event.target).closest("button");
    const track = this.#tracks.find(({ id }) => id === button?.dataset.id);
    if (track) this.#hooks.onChosen(track);
  }

  /**
   * The arrow keys go from row to row.
   * @param {KeyboardEvent} event
   */
  #walk(event) {
    const item = /** @type {Element} */ (event.target).closest("li");
    const list = this.#list;
    const goal = {
      ArrowDown: item?.nextElementSibling,
      ArrowUp: item?.previousElementSibling,
      Home: list.firstElementChild,
      End: list.lastElementChild,
    }[event.key];
    if (!goal) return;
    event.preventDefault();
    goal.querySelector("button")?.focus();
  }
}

/**
 * @param {string} name
 * @param {string} text
 */
function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

/**
 * The tile in front of a title: the picture, and bars that move while it plays.
 * @param {Track} track
 */
function mark(track) {
  const tile = part("tile", "");
  tile.style.setProperty("--hue", String(hueOf(track)));
  const picture = new Image();
  picture.loading = "lazy";
  picture.alt = "";
  picture.addEventListener("error", () => picture.remove()); // the hue is there
  picture.src = coverAddress(track);
  tile.append(picture, part("bar", ""), part("bar", ""), part("bar", ""));
  return tile;
}
