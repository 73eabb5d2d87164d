// @ts-check
/**
 * What this tab lets be heard: an audio element that follows a target.
 *
 * Here: loading, seeking, playing, pausing, a browser that refuses sound, an address that has
 * expired, and telling a person's hand on the hardware from our own. Not here: why the target is
 * what it is, and the server (playback.js).
 *
 *     follow ── another track ──► src ── loadedmetadata ──► seek if far ──► play or pause
 *            └─ the same track ───────────────────────────► seek if far ──► play or pause
 */

import { streamAddress } from "./catalogue.js";

/** Seconds that the element may be away from its target before it is moved. */
const NEAR = 0.3;
/** Seconds before the end in which starting makes no sense: play() would begin anew. */
const VERY_END = 0.05;
/** Milliseconds between two reports: at most four a second. */
const REPORT_EVERY = 250;

/** @typedef {import("./catalogue.js").Track} Track */

/**
 * Where the element shall be: `position` seconds at `at` (performance.now), moving if playing. One
 * that `waits` begins at `position` however long the loading takes.
 * @typedef {object} Target
 * @property {number} position
 * @property {number} at
 * @property {boolean} isPlaying
 * @property {number} rate
 * @property {boolean} waits
 */

/**
 * @typedef {object} Hooks
 * @property {(position: number) => void} onReport the audio plays and is at `position`
 * @property {(position: number) => void} onPlayed somebody started the element itself
 * @property {(position: number) => void} onPaused somebody paused the element itself
 * @property {() => void} onEnded
 * @property {() => void} onChanged position, duration or `isBlocked` may have changed
 * @property {(id: string) => Promise<Track | null>} renew the track with a fresh ticket, null if
 *     there is none; a person has then been told why
 * @property {() => void} onUnplayable a fresh address does not play either
 */

export class Sound {
  /** Whether the browser wants to be touched before it plays. */
  isBlocked = false;
  #audio;
  #hooks;
  /** @type {string | null} */
  #trackId = null;
  /** @type {Target} */
  #target = { position: 0, at: 0, isPlaying: false, rate: 1, waits: false };
  #hasMetadata = false;
  #hasFailed = false;
  #isRenewed = false;
  #reportedAt = 0;
  #listening = new AbortController();

  /**
   * @param {HTMLAudioElement} audio
   * @param {Hooks} hooks
   */
  constructor(audio, hooks) {
    this.#audio = audio;
    this.#hooks = hooks;
    const { signal } = this.#listening;
    audio.addEventListener("loadedmetadata", () => this.#arrive(), { signal });
    audio.addEventListener("timeupdate", () => this.#report(), { signal });
    audio.addEventListener("seeked", () => hooks.onChanged(), { signal });
    audio.addEventListener("play", () => this.#started(), { signal });
    audio.addEventListener("pause", () => this.#stopped(), { signal });
    audio.addEventListener("ended", () => hooks.onEnded(), { signal });
    audio.addEventListener("error", () => this.#recover(), { signal });
  }

  /** Whether the element is where a position can be read off it. */
  get isReady() {
    return this.#hasMetadata && !this.isBlocked;
  }

  get isSounding() {
    const { paused, ended } = this.#audio;
    return this.isReady && !paused && !ended;
  }

  /** Seconds. */
  get position() {
    return this.#audio.currentTime;
  }

  /** Seconds, undefined while unknown. */
  get duration() {
    const { duration } = this.#audio;
    return this.#hasMetadata && Number.isFinite(duration) ? duration : undefined;
  }

  /**
   * Make this track heard, or silent, at the target.
   * @param {Track} track
   * @param {Target} target
   */
  follow(track, target) {
    this.#target = target;
    if (!target.isPlaying) this.#setBlocked(false);
    if (track.id !== this.#trackId || this.#hasFailed) {
      this.#isRenewed = false;
      this.#load(track);
    } else if (this.#hasMetadata) {
      this.#settle(expected(target));
    }
  }

  /** Play what is to be played: call it while a person's touch is being handled. */
  listen() {
    this.#setBlocked(false);
    if (this.#target.isPlaying) this.#play();
  }

  /** Fall silent and let go of the element. */
  stop() {
    this.#listening.abort();
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
  }

  /** @param {Track} track */
  #load(track) {
    this.#trackId = track.id;
    this.#hasMetadata = false;
    this.#hasFailed = false;
    this.#audio.src = streamAddress(track);
    // Some browsers let an element play only if asked while a touch is being handled.
    if (this.#target.isPlaying) this.#play();
  }

  #arrive() {
    this.#hasMetadata = true;
    this.#settle(this.#target.waits ? this.#target.position : expected(this.#target));
    this.#hooks.onChanged();
  }

  /** @param {number} wanted seconds */
  #settle(wanted) {
    const audio = this.#audio;
    const end = this.duration ?? Infinity;
    const position = Math.min(wanted, end);
    audio.playbackRate = this.#target.rate;
    if (Math.abs(audio.currentTime - position) > NEAR) audio.currentTime = position;
    if (!this.#target.isPlaying) audio.pause();
    else if (audio.currentTime < end - VERY_END) this.#play();
  }

  #play() {
    if (!this.#audio.paused) return;
    this.#audio.play().then(
      () => this.#setBlocked(false),
      (error) => {
        if (error.name === "NotAllowedError" && this.#target.isPlaying) this.#setBlocked(true);
      },
    );
  }

  /** @param {boolean} isBlocked */
  #setBlocked(isBlocked) {
    if (isBlocked === this.isBlocked) return;
    this.isBlocked = isBlocked;
    this.#hooks.onChanged();
  }

  #report() {
    this.#hooks.onChanged();
    const now = performance.now();
    if (!this.isSounding || this.#audio.seeking || now - this.#reportedAt < REPORT_EVERY) return;
    this.#reportedAt = now;
    this.#hooks.onReport(this.position);
  }

  #started() {
    const isOurs = this.#target.isPlaying || this.#audio.paused;
    if (!isOurs) this.#hooks.onPlayed(this.position);
  }

  #stopped() {
    const { paused, ended, error } = this.#audio;
    const isOurs = !this.#target.isPlaying || !paused;
    if (!isOurs && !ended && !error && this.isReady) this.#hooks.onPaused(this.position);
  }

  /** The ticket in the address may have expired: try a fresh one, once. */
  async #recover() {
    const id = this.#trackId;
    if (!id || this.#hasFailed) return;
    if (this.#isRenewed) return this.#fail();
    this.#isRenewed = true;
    if (this.#hasMetadata) this.#target = { ...this.#target, position: this.position, waits: true };
    this.#hasMetadata = false;
    const track = await this.#hooks.renew(id);
    if (id !== this.#trackId) return;
    if (track) this.#load(track);
    else this.#hasFailed = true;
  }

  #fail() {
    this.#hasFailed = true;
    this.#hooks.onUnplayable();
  }
}

/**
 * @param {Target} target
 * @returns {number} where the target is now, in seconds
 */
function expected({ position, at, isPlaying, rate }) {
  return isPlaying ? position + ((performance.now() - at) / 1000) * rate : position;
}
