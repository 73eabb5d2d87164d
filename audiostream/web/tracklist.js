// @ts-check
/**
 * The list of tracks, its search, and what stands there when there are none.
 *
 * Here: asking the catalogue, and what the answer means to a person. Not here: what choosing a
 * track does (playback.js), the requests themselves (catalogue.js), the rows (rows.js).
 */

import { RequestFailed } from "./catalogue.js";
import { counted, find, quote } from "./page.js";
import { Rows } from "./rows.js";

/** Milliseconds without a key before a search starts. */
const TYPING_PAUSE = 180;
/** Milliseconds between two requests that nobody has asked for. */
const REFRESH_PAUSE = 1_000;
/** Milliseconds before the next look at a library that is being read, or has nothing in it. */
const NEXT_LOOK = 4_000;
const BAD_REQUEST = 400;
/** From here on it is not the request: too many of them, or a server that cannot answer now. */
const TOO_MANY = 429;

/** @typedef {import("./catalogue.js").Track} Track */
/** @typedef {import("./catalogue.js").Catalogue} Catalogue */

/**
 * @typedef {object} Hooks
 * @property {(track: Track, shown: Track[]) => void} onChosen one of the tracks that are shown
 * @property {(tracks: Track[]) => void} onLibrary the whole library, whenever it was read
 * @property {(tracks: Track[]) => void} onShown what the list shows from now on
 * @property {(error: RequestFailed) => void} onRequestFailed
 */

export class TrackList {
  #hooks;
  /** @type {Catalogue | null} */
  #catalogue = null;
  #request = new AbortController();
  /** When the latest request was made (performance.now), and the query that is shown. */
  #asked = -Infinity;
  /** @type {string | undefined} */
  #query;
  /** @type {number | undefined} */
  #typing;
  /** @type {number | undefined} */
  #refreshing;
  #isLoading = false;
  /** Whether the library may have changed since it was read as a whole. */
  #isStale = true;
  /** Whether it has changed since the latest request. */
  #hasChanged = false;
  /** What is shown, and what the server has told since it was asked for. */
  /** @type {import("./catalogue.js").Found | null} */
  #found = null;
  /** @type {{ version: string, isScanning: boolean } | null} */
  #told = null;
  #rows;
  #search = find("search", HTMLInputElement);

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#rows = new Rows((track) => hooks.onChosen(track, this.#rows.tracks));
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.load(), TYPING_PAUSE);
    });
    find("search-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    find("again").addEventListener("click", () => this.load());
  }

  /**
   * Show what this catalogue has, once `load` is called.
   * @param {Catalogue} catalogue
   */
  open(catalogue) {
    this.#catalogue = catalogue;
    this.#isStale = true;
    this.#hasChanged = false;
    this.#found = null;
    this.#search.value = "";
    find("count").textContent = "";
    find("empty").hidden = true;
  }

  /** Forget everything. */
  close() {
    clearTimeout(this.#typing);
    clearTimeout(this.#refreshing);
    this.#request.abort();
    this.#isLoading = false;
    this.#catalogue = null;
    this.#query = undefined;
    this.#rows.show([], "top");
  }

  /** Ask again, with what stands in the search box. */
  async load() {
    clearTimeout(this.#typing);
    clearTimeout(this.#refreshing);
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#asked = performance.now();
    this.#isLoading = true;
    this.#hasChanged = false;
    this.#told = null;
    try {
      await this.#load(this.#search.value.trim(), signal);
    } catch (error) {
      if (error instanceof RequestFailed) this.#failed(error);
      else if (/** @type {Error} */ (error).name !== "AbortError") throw error;
    }
    if (signal.aborted) return;
    this.#isLoading = false;
    if (this.#hasChanged || this.#isOld()) this.refresh();
  }

  /**
   * The library may have changed: ask again, but not while the latest answer is on its way, and not
   * each time while it changes all the time.
   */
  refresh() {
    this.#isStale = true;
    this.#hasChanged = this.#isLoading;
    if (this.#isLoading) return;
    this.#loadIn(Math.max(0, this.#asked + REFRESH_PAUSE - performance.now()));
  }

  /**
   * The server tells which library it has.
   * @param {{ version: string, isScanning: boolean }} told
   */
  updated(told) {
    this.#told = told;
    if (!this.#isLoading && this.#isOld()) this.refresh();
  }

  /** Say that the tracks could not be read at all. */
  fail() {
    if (this.#rows.tracks.length) return;
    this.#explain("The library is out of reach", "It appears here once the server answers.");
  }

  /**
   * Mark the current track.
   * @param {string | null} id
   * @param {boolean} isPlaying
   */
  mark(id, isPlaying) {
    this.#rows.mark(id, isPlaying);
  }

  /**
   * @param {string} query
   * @param {AbortSignal} signal
   */
  async #load(query, signal) {
    const catalogue = this.#catalogue;
    if (!catalogue) return;
    const found = await catalogue.list(query, signal);
    this.#show(found, query);
    if (query && !this.#isStale) return;
    const all = query ? await catalogue.list("", signal) : found;
    this.#isStale = this.#hasChanged;
    this.#hooks.onLibrary(all.tracks);
  }

  /** Whether the server has told of another library than the one that is shown. */
  #isOld() {
    const [told, found] = [this.#told, this.#found];
    if (!told || !found) return false;
    return told.version !== found.version || told.isScanning !== found.isScanning;
  }

  /** @param {number} delay milliseconds */
  #loadIn(delay) {
    clearTimeout(this.#refreshing);
    this.#refreshing = setTimeout(() => this.load(), delay);
  }

  /** @param {RequestFailed} error */
  #failed(error) {
    if (error.status >= TOO_MANY) this.#loadIn(NEXT_LOOK);
    if (error.status !== BAD_REQUEST) return this.#hooks.onRequestFailed(error);
    this.#query = undefined;
    this.#rows.show([], "top");
    find("count").textContent = "";
    this.#explain("That is too much to search for", "Up to 16 words and 200 characters, please.");
  }

  /**
   * @param {import("./catalogue.js").Found} found
   * @param {string} query
   */
  #show(found, query) {
    const { tracks, isScanning } = found;
    this.#found = found;
    const count = counted(tracks.length, "track");
    find("count").textContent = isScanning && tracks.length ? `${count} so far` : count;
    find("empty").hidden = tracks.length > 0;
    if (!tracks.length) this.#explainNone(query, isScanning);
    this.#rows.show(tracks, query === this.#query ? "same" : "top");
    this.#query = query;
    this.#hooks.onShown(tracks);
    if (isScanning || (!query && !tracks.length)) this.#loadIn(NEXT_LOOK);
  }

  /**
   * @param {string} query
   * @param {boolean} isScanning
   */
  #explainNone(query, isScanning) {
    if (isScanning) {
      this.#explain("Reading the library…", "Tracks appear here as soon as they are found.");
    } else if (query) {
      this.#explain(`Nothing matches “${query}”`, "Try a title, an artist or an album.");
    } else {
      const advice = "Put audio files into the server’s media folder, and they appear here.";
      this.#explain("No audio yet", advice);
    }
  }

  /**
   * @param {string} title
   * @param {string} advice
   */
  #explain(title, advice) {
    const empty = find("empty");
    empty.hidden = false;
    find("again").hidden = this.#search.value !== "";
    quote(/** @type {HTMLElement} */ (empty.querySelector("h2")), title);
    /** @type {HTMLElement} */ (empty.querySelector("p")).textContent = advice;
  }
}
