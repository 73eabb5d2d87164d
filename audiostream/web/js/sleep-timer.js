// @ts-check
/** The sleep timer of this page, without a DOM: after some minutes or a track, it fades and ends. */

/** Seconds in which the audio fades out before the end. */
const FADE = 10;
/** Seconds before the end of a track at which it is paused: later, the next one would begin. */
const BEFORE_END = 0.4;
/** Seconds before the end of a track within which another track is its successor. */
const NEAR_END = 5;

/** @typedef {import("./player.js").Player} Player */
/** @typedef {Pick<Player, "track" | "position" | "duration" | "rate" | "isPlaying">} Playback */

/**
 * @typedef {object} Hooks
 * @property {() => number} now milliseconds of a monotonic clock
 * @property {(share: number) => void} onFade the volume is to be this share of the user's, 0 to 1
 * @property {() => void} onEnd the playback is to be paused
 */

export class SleepTimer {
  #hooks;
  /** @type {number | "track" | null} milliseconds of the clock, or the end of the current track */
  #end = null;
  /** @type {string | undefined} the track whose end counts */
  #trackId;
  /** Seconds of the track that were left at the last look. */
  #left = Infinity;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  get isRunning() {
    return this.#end !== null;
  }

  get isOfTrack() {
    return this.#end === "track";
  }

  /** Seconds, null where the timer is off, or while the end of the track is unknown. */
  get remaining() {
    if (this.#end === null) return null;
    if (this.#end !== "track") return Math.max(0, (this.#end - this.#hooks.now()) / 1000);
    return Number.isFinite(this.#left) ? this.#left : null;
  }

  /** @param {number | "track"} span minutes, or until the current track ends */
  start(span) {
    this.cancel();
    this.#end = span === "track" ? span : this.#hooks.now() + span * 60_000;
  }

  cancel() {
    this.#end = null;
    this.#trackId = undefined;
    this.#left = Infinity;
    this.#hooks.onFade(1);
  }

  /**
   * Look at the playback; call it a few times a second.
   * @param {Playback} playback
   */
  look(playback) {
    if (this.#end === null) return;
    if (this.#end === "track" ? this.#isTrackOver(playback) : this.remaining === 0) this.#finish();
    else if (this.#end !== "track") this.#hooks.onFade(Math.min(1, (this.remaining ?? 0) / FADE));
  }

  #finish() {
    this.#hooks.onEnd();
    this.cancel();
  }

  /** @param {Playback} playback */
  #isTrackOver({ track, position, duration, rate, isPlaying }) {
    const hasChanged = this.#trackId !== undefined && track?.id !== this.#trackId;
    const wasOver = hasChanged && this.#left <= NEAR_END;
    this.#trackId = track?.id;
    this.#left = duration === undefined ? Infinity : Math.max(0, duration - position) / rate;
    return wasOver || (isPlaying && this.#left <= BEFORE_END);
  }
}
