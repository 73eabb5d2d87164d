// @ts-check
/** What the library shows: the chosen view of the tracks that a search has found, and its menus. */

import { albumsOf, artistsOf } from "./albums.js";
import { ListInput } from "./list-input.js";
import { RowMenu } from "./row-menu.js";
import { Toolbar } from "./toolbar.js";
import { albumItems, artistItems, lettersOf, recentItems, trackItems } from "./views.js";
import { VirtualList } from "./virtual-list.js";

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {import("./albums.js").Album} Album */
/** @typedef {import("./views.js").Item} Item */
/** @typedef {import("./views.js").Played} Played */

/**
 * @typedef {object} Hooks
 * @property {(track: Track, list: Track[]) => void} onChosen a track and the list that it is of
 * @property {(tracks: Track[]) => void} onPlayNext
 * @property {(tracks: Track[]) => void} onAdd at the end of the queue
 * @property {() => void} onViewChanged another view or order is shown
 */

export class LibraryView {
  #hooks;
  /** @type {readonly Track[]} what a search has found, or the whole library */
  #found = [];
  /** @type {readonly Track[]} */
  #library = [];
  /** @type {Album[] | null} those of the library, null until they are needed */
  #albums = null;
  /** @type {readonly Played[]} */
  #history = [];
  /** @type {Set<string>} the keys of the artists whose albums are shown */
  #open = new Set();
  /** @type {string | null} the current track's id */
  #current = null;
  #list = new VirtualList();
  #menu = new RowMenu(this.#list.element);
  #toolbar;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    new ListInput(this.#list, {
      onChosen: (item) => this.#play(item),
      onToggled: (item, isOpen) => this.#toggle(item, isOpen),
      onMenu: (item, at) => this.#openMenu(item, at),
    });
    this.#toolbar = new Toolbar({
      onChanged: () => {
        this.#render("top");
        hooks.onViewChanged();
      },
      onJump: (index) => this.#goTo(index, "top"),
      onCurrent: () => this.#goToCurrent(),
    });
  }

  get view() {
    return this.#toolbar.view;
  }

  /** The number of what the view lists, and its name. */
  get size() {
    const { items } = this.#list;
    const noun = { tracks: "track", albums: "album", artists: "artist", recent: "track" };
    const isFlat = this.view === "tracks" || this.view === "recent";
    const count = isFlat ? items.length : (items.findLast(({ level }) => level === 1)?.size ?? 0);
    return { count, noun: noun[this.view] };
  }

  /** The tracks in the order of the list; in a view of groups undefined. */
  get flatTracks() {
    return this.view === "tracks" ? (this.#list.items[0]?.tracks ?? []) : undefined;
  }

  /**
   * @param {readonly Track[]} library all tracks
   */
  setLibrary(library) {
    this.#library = library;
    this.#albums = null;
    this.#toolbar.setDates(library.some(({ addedAt }) => addedAt !== undefined));
  }

  /** @param {readonly Played[] | null} history the last one first, null where there is none */
  setHistory(history) {
    this.#history = history ?? [];
    this.#toolbar.setHistory(history !== null);
    this.#render("same");
  }

  /**
   * @param {readonly Track[]} found by a search, or the whole library
   * @param {"same" | "top"} place what to scroll to
   */
  show(found, place) {
    this.#found = found;
    this.#render(place);
  }

  /**
   * Mark the current track.
   * @param {string | null} id
   * @param {boolean} isPlaying
   */
  mark(id, isPlaying) {
    this.#list.mark(id, isPlaying);
    if (id === this.#current) return;
    this.#current = id;
    this.#showCurrent();
  }

  /** @param {"same" | "top"} place */
  #render(place) {
    this.#menu.close();
    const items = this.#items();
    this.#list.show(items, place);
    this.#toolbar.setLetters(lettersOf(items), items.length);
    this.#showCurrent();
  }

  /** @returns {Item[]} */
  #items() {
    const { view, sort } = this.#toolbar;
    if (view === "tracks") return trackItems(this.#found, sort);
    if (view === "albums") return albumItems(this.#foundAlbums(), sort);
    if (view === "artists") return artistItems(this.#foundAlbums(), this.#open);
    const ids = this.#found === this.#library ? null : new Set(this.#found.map(({ id }) => id));
    const found = this.#history.filter(({ track }) => !ids || ids.has(track.id));
    return recentItems(found, Date.now());
  }

  /** All albums; without the library those of what was found. */
  #allAlbums() {
    this.#albums ??= albumsOf(this.#library.length ? this.#library : this.#found);
    return this.#albums;
  }

  /** The albums with those of their tracks that were found. */
  #foundAlbums() {
    const all = this.#allAlbums();
    if (this.#found === this.#library) return all;
    const ids = new Set(this.#found.map(({ id }) => id));
    const restricted = all.map((album) => {
      return { ...album, tracks: album.tracks.filter(({ id }) => ids.has(id)) };
    });
    return restricted.filter(({ tracks }) => tracks.length);
  }

  /** @param {Item} item */
  #play({ track, tracks }) {
    this.#hooks.onChosen(track ?? tracks[0], tracks);
  }

  /**
   * @param {Item} item an artist
   * @param {boolean} isOpen
   */
  #toggle({ key }, isOpen) {
    const artist = key.replace(/^artist /, "");
    if (isOpen) this.#open.add(artist);
    else this.#open.delete(artist);
    this.#render("same");
  }

  /**
   * @param {Item} item
   * @param {{ x: number, y: number }} at
   */
  #openMenu(item, at) {
    const { track, tracks, name } = item;
    const own = track ? [track] : tracks;
    const entries = [
      { label: "Play", act: () => this.#play(item) },
      { label: "Play next", act: () => this.#hooks.onPlayNext(own) },
      { label: "Add to queue", act: () => this.#hooks.onAdd(own) },
    ];
    const album = track?.album && this.#allAlbums().find((each) => each.tracks.includes(track));
    if (album && album.tracks.length > 1 && album.tracks.length !== tracks.length) {
      const act = () => this.#hooks.onChosen(track, album.tracks);
      entries.push({ label: "Play album from here", act });
    }
    const details = track ? [track.artist, track.album] : item.details;
    this.#menu.open({ name, names: details }, entries, at);
  }

  #showCurrent() {
    const id = this.#current;
    const { items } = this.#list;
    const isShown = id !== null && items.some(({ tracks, level, track }) => {
      return level === 1 && (track ? track.id === id : tracks.some((each) => each.id === id));
    });
    this.#toolbar.setCurrent(isShown);
  }

  #goToCurrent() {
    const isCurrent = (/** @type {Track} */ { id }) => id === this.#current;
    const artists = this.view === "artists" ? artistsOf(this.#foundAlbums()) : [];
    const artist = artists.find(({ albums }) => albums.some(({ tracks }) => tracks.some(isCurrent)));
    if (artist && !this.#open.has(artist.key)) {
      this.#open.add(artist.key);
      this.#render("same");
    }
    const index = this.#list.items.findIndex(({ track }) => track && isCurrent(track));
    if (index >= 0) this.#goTo(index, "middle");
  }

  /**
   * @param {number} index
   * @param {"top" | "middle"} where
   */
  #goTo(index, where) {
    this.#list.goTo(index, where);
    this.#list.element.focus({ preventScroll: true });
  }
}
