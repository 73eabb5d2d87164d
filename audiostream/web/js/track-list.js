// @ts-check
/** The list of tracks with its search, and what is shown where there are none. */

import { ApiError } from "./api.js";
import { find, setQuoted, setText } from "./dom.js";
import { counted } from "./format.js";
import { LibraryView } from "./library/library-view.js";
import { searchLocally } from "./library/local-search.js";

/** Milliseconds without a key before a search starts. */
const TYPING_PAUSE = 180;
/** Milliseconds without an answer after which the page searches in what it has. */
const SLOW_ANSWER = 800;
/** Milliseconds between two requests that the user has not made. */
const REFRESH_PAUSE = 1_000;
/** Tracks of the history that are shown. */
const MAX_HISTORY = 200;
/** Milliseconds after the current track has changed until the server has it in the history. */
const HISTORY_DELAY = 500;
/** Milliseconds before a library that is being scanned, or is empty, is requested again. */
const POLL_INTERVAL = 4_000;
const BAD_REQUEST = 400;
const NOT_FOUND = 404;
/** Statuses from here on are no fault of the request: it may be made again. */
const TOO_MANY_REQUESTS = 429;

/** @typedef {import("../client.js").Track} Track */
/** @typedef {import("../client.js").LibraryUpdated} LibraryUpdated */
/** @typedef {import("./api.js").Api} Api */

/**
 * @typedef {object} Hooks
 * @property {(track: Track, list: Track[]) => void} onChosen a track, and the list that it is of: an
 *     album, or all that is shown, in that order
 * @property {(tracks: Track[]) => void} onPlayNext
 * @property {(tracks: Track[]) => void} onAdd at the end of the queue
 * @property {(tracks: Track[]) => void} onLibrary the whole library, whenever it was loaded
 * @property {(tracks: Track[]) => void} onShown what the list shows from now on, if it is no view
 *     of groups
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
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #slowTimer;
  #isLoading = false;
  /** Whether the library may have changed since all of it was loaded. */
  #isStale = true;
  /** Whether it has changed since the latest request. */
  #hasChanged = false;
  /** @type {import("./api.js").TrackPage | null} what is shown */
  #page = null;
  /** @type {Track[]} all that the page has, empty before they are loaded */
  #library = [];
  /** @type {LibraryUpdated | null} what the server has sent since that was requested */
  #update = null;
  /** @type {string | null} the current track's id */
  #current = null;
  #hasHistory = false;
  #view;
  #search = find("search", HTMLInputElement);

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#view = new LibraryView({ ...hooks, onViewChanged: () => this.#viewChanged() });
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#searchTimer);
      this.#searchTimer = setTimeout(() => this.load(), TYPING_PAUSE);
    });
    this.#search.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      find("tracks").focus();
    });
    find("search-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
    find("again").addEventListener("click", () => {
      this.#search.value = "";
      this.load();
    });
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
    this.#library = [];
    this.#search.value = "";
    find("count").textContent = "";
    this.#explain("Loading the library…", "", "");
  }

  /** @param {readonly string[]} features of the server */
  setFeatures(features) {
    this.#hasHistory = features.includes("history");
    this.#loadHistory();
  }

  /** Cancel what is under way, and empty the list. */
  close() {
    clearTimeout(this.#searchTimer);
    clearTimeout(this.#loadTimer);
    clearTimeout(this.#slowTimer);
    this.#request.abort();
    this.#isLoading = false;
    this.#api = null;
    this.#query = undefined;
    this.#hasHistory = false;
    this.#view.setLibrary([]);
    this.#view.setHistory(null);
    this.#view.show([], "top");
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
    clearTimeout(this.#slowTimer);
    this.#slowTimer = setTimeout(() => this.#searchLocally(), SLOW_ANSWER);
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

  /** Show that the server does not answer, if there are no tracks to show or to search in. */
  showUnreachable() {
    if (this.#view.size.count || this.#library.length) return;
    const advice = "It appears here once the server answers. Is the server on, and your network?";
    this.#explain("The library is out of reach", advice);
  }

  /**
   * Mark the current track.
   * @param {string | null} id
   * @param {boolean} isPlaying
   */
  mark(id, isPlaying) {
    this.#view.mark(id, isPlaying);
    if (id === this.#current) return;
    this.#current = id;
    if (this.#view.view === "recent") setTimeout(() => this.#loadHistory(), HISTORY_DELAY);
  }

  /**
   * @param {string} query
   * @param {AbortSignal} signal
   */
  async #load(query, signal) {
    const api = this.#api;
    if (!api) return;
    const page = await api.list(query, signal);
    clearTimeout(this.#slowTimer);
    this.#show(page, query);
    if (query && !this.#isStale) return;
    const all = query ? await api.list("", signal) : page;
    this.#isStale = this.#hasChanged;
    this.#library = all.tracks;
    if (query) this.#view.setLibrary(all.tracks);
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
    if (error.status !== BAD_REQUEST) {
      this.#searchLocally();
      return this.#hooks.onRequestFailed(error);
    }
    clearTimeout(this.#slowTimer);
    this.#query = undefined;
    this.#view.show([], "top");
    find("count").textContent = "";
    const advice = "Up to 16 words and 200 characters, please.";
    this.#explain("That is too much to search for", advice, "Clear the search");
  }

  /** Show what the page has of what the user searches for, if that is not shown already. */
  #searchLocally() {
    clearTimeout(this.#slowTimer);
    const query = this.#search.value.trim();
    if (!this.#page || query === this.#query) return;
    if (!this.#library.length && this.#isStale) return this.#notSearched();
    const tracks = query ? searchLocally(this.#library, query) : this.#library;
    this.#show({ ...this.#page, tracks }, query);
  }

  /** There is nothing to search in: what is shown is of another query. */
  #notSearched() {
    this.#query = undefined;
    this.#view.show([], "top");
    find("count").textContent = "";
    this.#explain("The library could not be searched", "The server does not answer.");
  }

  /** Load what was played, if the server knows. */
  async #loadHistory() {
    const api = this.#hasHistory ? this.#api : null;
    try {
      const history = api ? await api.history(MAX_HISTORY) : null;
      if (api === this.#api || !api) this.#showHistory(history);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === NOT_FOUND) this.#showHistory(null);
    }
  }

  /** @param {import("./library/views.js").Played[] | null} history */
  #showHistory(history) {
    this.#view.setHistory(history);
    if (this.#page) this.#showCount();
  }

  #viewChanged() {
    if (this.#view.view === "recent") this.#loadHistory();
    if (!this.#page) return;
    this.#showCount();
    this.#reportShown();
  }

  /**
   * @param {import("./api.js").TrackPage} page
   * @param {string} query
   */
  #show(page, query) {
    const { tracks, isScanning } = page;
    this.#page = page;
    if (!query) this.#view.setLibrary(tracks);
    this.#view.show(tracks, query === this.#query ? "same" : "top");
    this.#query = query;
    this.#showCount();
    this.#reportShown();
    if (isScanning || (!query && !tracks.length)) this.#loadIn(POLL_INTERVAL);
  }

  #reportShown() {
    const tracks = this.#view.flatTracks;
    if (tracks) this.#hooks.onShown(tracks);
  }

  /** Show how much the view has, or why it has nothing. */
  #showCount() {
    const { count, noun } = this.#view.size;
    const isScanning = this.#page?.isScanning ?? false;
    const text = counted(count, noun);
    setText(find("count"), isScanning && count ? `${text} so far` : text);
    find("empty").hidden = count > 0;
    if (!count) this.#explainNone(this.#query ?? "", isScanning);
  }

  /**
   * @param {string} query
   * @param {boolean} isScanning
   */
  #explainNone(query, isScanning) {
    if (isScanning) {
      this.#explain("Reading the library…", "Tracks appear here as soon as they are found.");
    } else if (query) {
      const advice = "Try a title, an artist or an album, or fewer words.";
      this.#explain(`Nothing matches “${query}”`, advice, "Clear the search");
    } else if (this.#view.view === "recent") {
      this.#explain("Nothing was played yet", "What you play appears here.", "");
    } else {
      const advice = "Put audio files into the server’s media folder, and they appear here.";
      this.#explain("No audio yet", advice);
    }
  }

  /**
   * @param {string} title
   * @param {string} advice
   * @param {string} [button] what it does, empty for none
   */
  #explain(title, advice, button = "Look again") {
    const empty = find("empty");
    empty.hidden = false;
    find("again").hidden = !button;
    setText(find("again"), button);
    setQuoted(empty.querySelector("h2"), title);
    setQuoted(empty.querySelector("p"), advice);
  }
}
