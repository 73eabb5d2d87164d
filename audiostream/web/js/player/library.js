// @ts-check
/** `Library`: the tracks by their ids, and the list that the user sees. */

/** @typedef {import("../../client.js").Track} Track */

export class Library {
  isLoaded = false;
  /** @type {Map<string, Track>} */
  #tracks = new Map();
  /** @type {Track[]} the list that the user sees */
  #shown = [];

  get isEmpty() {
    return this.#tracks.size === 0;
  }

  /** What the user sees, else all tracks. */
  get list() {
    return this.#shown.length ? this.#shown : [...this.#tracks.values()];
  }

  /** @param {Track[]} tracks all */
  setTracks(tracks) {
    this.#tracks = new Map(tracks.map((track) => [track.id, track]));
    this.#shown = this.#shown.filter(({ id }) => this.#tracks.has(id));
    this.isLoaded = true;
  }

  /** @param {Track[]} tracks what the user sees */
  setShown(tracks) {
    this.#shown = tracks;
  }

  /**
   * @param {string | null | undefined} id
   * @returns {Track | undefined}
   */
  find(id) {
    return this.#tracks.get(id ?? "");
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
}
