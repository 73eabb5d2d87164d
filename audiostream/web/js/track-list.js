// @ts-check
/** The list of tracks with its search, and what is shown where there are none. */

import { ApiError } from "./api.js";
import { find, setQuoted } from "./dom.js";
import { counted } from "./format.js";
import { Rows } from "./rows.js";

/** Milliseconds without a key before a search starts. */
const TYPING_PAUSE = 180;
/** Milliseconds between two requests that the user has not made. */
const REFRESH_PAUSE = 1_000;
/** Milliseconds before a library that is being scanned, or is empty, is requested again. */
const POLL_INTERVAL = 4_000;
const BAD_REQUEST = 400;
/** Statuses from here on are no fault of the request: it may be made again. */
const TOO_MANY_REQUESTS = 429;

/** @typedef {import("../client.js").Track} Track */
/** @typedef {import("../client.js").LibraryUpdated} LibraryUpdated */
/** @typedef {import("./api.js").Api} Api */

/**
 * @typedef {object} Hooks
 * @property {(track: Track, shown: Track[]) => void} onChosen one of the tracks that are shown
 * @property {(tracks: Track[]) => void} onLibrary the whole library, whenever it was loaded
 * @property {(tracks: Track[]) => void} onShown what the list shows from now on
 * @property {(error: ApiError) => void} onRequestFailed
 */

export class TrackList {
  #hooks;
  /** @type {Api | null} */
  #api = null;
  #request = new AbortController();
  /** When the latest request was made, in milliseconds of performance.now. */
  #requestedAt = -Infinity;
  /** @type {string | undefined} the query that is shown */
  #query;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #searchTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #loadTimer;
  #isLoading = false;
  /** Whether the library may have changed since all of it was loaded. */
  #isStale = true;
  /** Whether it has changed since the latest request. */
  #hasChanged = false;
  /** @type {import("./api.js").TrackPage | null} what is shown */
  #page = null;
  /** @type {LibraryUpdated | null} what the server has sent since that was requested */
  #update = null;
  #rows;
  #search = find("search", HTMLInputElement);

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#rows = new Rows((track) => hooks.onChosen(track, this.#rows.tracks));
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#searchTimer);
      this.#searchTimer = setTimeout(() => this.load(), TYPING_PAUSE);
    });
    find("search-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    find("again").addEventListener("click", () => this.load());
  }

  /**
   * Show the tracks of this API, once `load` is called.
   * @param {Api} api
   */
  open(api) {
    this.#api = api;
    this.#isStale = true;
    this.#hasChanged = false;
    this.#page = null;
    this.#search.value = "";
    find("count").textContent = "";
    find("empty").hidden = true;
  }

  /** Cancel what is under way, and empty the list. */
  close() {
    clearTimeout(this.#searchTimer);
    clearTimeout(this.#loadTimer);
    this.#request.abort();
    this.#isLoading = false;
    this.#api = null;
    this.#query = undefined;
    this.#rows.show([], "top");
  }

  /** Load the tracks that match the search box. */
  async load() {
    clearTimeout(this.#searchTimer);
    clearTimeout(this.#loadTimer);
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#requestedAt = performance.now();
    this.#isLoading = true;
    this.#hasChanged = false;
    this.#update = null;
    try {
      await this.#load(this.#search.value.trim(), signal);
    } catch (error) {
      if (error instanceof ApiError) this.#failed(error);
      else if (/** @type {Error} */ (error).name !== "AbortError") throw error;
    }
    if (signal.aborted) return;
    this.#isLoading = false;
    if (this.#hasChanged || this.#isOutdated()) this.refresh();
  }

  /**
   * Load again, as the library may have changed: after the response that is under way, and at most
   * once in REFRESH_PAUSE.
   */
  refresh() {
    this.#isStale = true;
    this.#hasChanged = this.#isLoading;
    if (this.#isLoading) return;
    this.#loadIn(Math.max(0, this.#requestedAt + REFRESH_PAUSE - performance.now()));
  }

  /**
   * Handle the server's `libraryUpdated`.
   * @param {LibraryUpdated} update
   */
  updated(update) {
    this.#update = update;
    if (!this.#isLoading && this.#isOutdated()) this.refresh();
  }

  /** Show that the server does not answer, if there are no tracks to show. */
  showUnreachable() {
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
    const api = this.#api;
    if (!api) return;
    const page = await api.list(query, signal);
    this.#show(page, query);
    if (query && !this.#isStale) return;
    const all = query ? await api.list("", signal) : page;
    this.#isStale = this.#hasChanged;
    this.#hooks.onLibrary(all.tracks);
  }

  /** Whether the server has another library than the one that is shown. */
  #isOutdated() {
    const [update, page] = [this.#update, this.#page];
    if (!update || !page) return false;
    return update.version !== page.version || update.isScanning !== page.isScanning;
  }

  /** @param {number} delay milliseconds */
  #loadIn(delay) {
    clearTimeout(this.#loadTimer);
    this.#loadTimer = setTimeout(() => this.load(), delay);
  }

  /** @param {ApiError} error */
  #failed(error) {
    if (error.status >= TOO_MANY_REQUESTS) this.#loadIn(POLL_INTERVAL);
    if (error.status !== BAD_REQUEST) return this.#hooks.onRequestFailed(error);
    this.#query = undefined;
    this.#rows.show([], "top");
    find("count").textContent = "";
    this.#explain("That is too much to search for", "Up to 16 words and 200 characters, please.");
  }

  /**
   * @param {import("./api.js").TrackPage} page
   * @param {string} query
   */
  #show(page, query) {
    const { tracks, isScanning } = page;
    this.#page = page;
    const count = counted(tracks.length, "track");
    find("count").textContent = isScanning && tracks.length ? `${count} so far` : count;
    find("empty").hidden = tracks.length > 0;
    if (!tracks.length) this.#explainNone(query, isScanning);
    this.#rows.show(tracks, query === this.#query ? "same" : "top");
    this.#query = query;
    this.#hooks.onShown(tracks);
    if (isScanning || (!query && !tracks.length)) this.#loadIn(POLL_INTERVAL);
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
    setQuoted(empty.querySelector("h2"), title);
    setQuoted(empty.querySelector("p"), advice);
  }
}
