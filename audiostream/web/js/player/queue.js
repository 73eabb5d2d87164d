// @ts-check
/** What comes after the current track: in the list where it was chosen, else in the library. */

/** @typedef {import("../../client.js").Track} Track */

export class Queue {
  isLoaded = false;
  /** @type {Track[]} */
  #library = [];
  /** @type {Track[]} the list where the current track was chosen, or that is shown now */
  #list = [];
  /** @type {Track | undefined} what follows the current track after it has left the library */
  #successor;

  get isEmpty() {
    return this.#library.length === 0;
  }

  get first() {
    return this.#list[0] ?? this.#library[0];
  }

  /**
   * @param {Track[]} tracks the whole library
   * @param {string | null} currentId
   */
  setLibrary(tracks, currentId) {
    const ids = new Set(tracks.map(({ id }) => id));
    const current = this.#library.findIndex(({ id }) => id === currentId);
    const later = current < 0 ? [this.#successor] : this.#library.slice(current + 1);
    this.#successor = later.find((track) => track && ids.has(track.id));
    this.#library = tracks;
    this.#list = this.#list.filter(({ id }) => ids.has(id));
    this.isLoaded = true;
  }

  /**
   * Go on in another list, if the current track is in it.
   * @param {Track[]} tracks what the user sees
   * @param {string | null} currentId
   */
  setShown(tracks, currentId) {
    if (currentId === null || tracks.some(({ id }) => id === currentId)) this.#list = tracks;
  }

  /** @param {Track[]} tracks where the user has chosen a track */
  setList(tracks) {
    this.#list = tracks;
  }

  /**
   * @param {string | null} id
   * @returns {Track | undefined}
   */
  find(id) {
    return this.#library.find((track) => track.id === id);
  }

  /**
   * @param {string | null} currentId
   * @returns {Track | undefined}
   */
  after(currentId) {
    const found = this.#place(currentId);
    return found ? found.tracks[found.index + 1] : this.#successor;
  }

  /**
   * @param {string | null} currentId
   * @returns {Track | undefined}
   */
  before(currentId) {
    const found = this.#place(currentId);
    return found?.tracks[found.index - 1];
  }

  /**
   * The rate at which a track begins, as the server decides it: the rate stays within an album.
   * @param {Track} track
   * @param {{ trackId: string | null, playbackRate: number }} state the current one
   */
  rateOf(track, { trackId, playbackRate }) {
    const current = this.find(trackId);
    const isOfSameAlbum =
      track.album !== undefined &&
      track.album === current?.album &&
      track.albumArtist === current?.albumArtist;
    return track.id === trackId || isOfSameAlbum ? playbackRate : 1;
  }

  /** @param {string | null} id */
  #place(id) {
    for (const tracks of [this.#list, this.#library]) {
      const index = tracks.findIndex((track) => track.id === id);
      if (index >= 0) return { tracks, index };
    }
    return undefined;
  }
}
