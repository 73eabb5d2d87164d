// @ts-check
/**
 * `AudioPreload`: a second audio element, which loads the track that will follow. The element that
 * plays is given the same URL then, and reads what the browser has of it: measured in Chromium, it
 * sends no further request.
 */

import { streamUrl } from "./api.js";

/** @typedef {import("../client.js").Track} Track */

export class AudioPreload {
  /** @type {HTMLAudioElement | null} */
  #element = null;
  /** @type {string | null} */
  #trackId = null;

  /** @param {Track} track */
  load(track) {
    if (track.id === this.#trackId) return;
    this.drop();
    this.#trackId = track.id;
    this.#element = new Audio();
    this.#element.preload = "auto";
    this.#element.src = streamUrl(track);
  }

  /**
   * @param {Track} track
   * @returns {string} the URL of its audio, which is loaded already if it is this track's
   */
  urlOf(track) {
    const isLoaded = track.id === this.#trackId && this.#element && !this.#element.error;
    return isLoaded ? /** @type {HTMLAudioElement} */ (this.#element).src : streamUrl(track);
  }

  /** Release the element: what it has loaded is played by another one, or not needed. */
  drop() {
    this.#trackId = null;
    if (this.#element) unload(this.#element);
    this.#element = null;
  }
}

/** @param {HTMLAudioElement} audio which is to load and play nothing any more */
export function unload(audio) {
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
}
