// @ts-check
/**
 * `Offers`: what the user can do for a while with one press: go back to where a jump began, or to
 * where a long track was left.
 */

import { clockTime } from "../format.js";

/** Milliseconds that the way back from a jump is offered. */
export const OFFER_TIME = 10_000;
/** Seconds of playing that a place to resume is offered: as long as it takes to see it is missing. */
export const RESUME_TIME = 60;
/** Seconds beyond which a change of the position is a jump, as the server's FAR_JUMP. */
export const FAR_JUMP = 30;
/** Seconds of a track that is worth to be resumed: a talk, a mix, a chapter. */
export const LONG_TRACK = 600;
/** Seconds into a track before which a stop is an accident, not a place to resume. */
const EARLY_STOP = 60;
/** Milliseconds between two looks whether it plays. */
const TICK = 1_000;

/**
 * @typedef {object} Offer
 * @property {string} text of a button
 * @property {() => void} act
 * @property {() => void} close withdraw it
 */

export class Offers {
  /** @type {Offer | null} */
  #back = null;
  /** @type {Offer | null} */
  #resume = null;
  #ports;
  #cancelBack = () => {};
  #cancelResume = () => {};

  /** @param {Pick<import("./ports.js").Ports, "schedule" | "onChanged">} ports */
  constructor(ports) {
    this.#ports = ports;
  }

  /** What is offered: the way back hides the place to resume meanwhile. Null for nothing. */
  get current() {
    return this.#back ?? this.#resume;
  }

  /** Withdraw all offers. */
  clear() {
    this.#clearBack();
    this.#clearResume();
  }

  /**
   * Offer to go back, if a seek was a jump.
   * @param {number} from seconds
   * @param {number} to seconds
   * @param {(position: number) => void} seek
   */
  jumped(from, to, seek) {
    this.#clearBack();
    if (Math.abs(to - from) <= FAR_JUMP) return;
    const close = () => this.#clearBack();
    this.#back = offerOf(`Back to ${clockTime(from)}`, close, () => seek(from));
    this.#cancelBack = this.#ports.schedule(close, OFFER_TIME);
    this.#ports.onChanged();
  }

  /**
   * Offer to go on where a long track was left.
   * @param {number[]} positions seconds where it stopped, the newest first
   * @param {number} duration seconds
   * @param {{ isPlaying: () => boolean, seek: (position: number) => void }} player
   */
  started(positions, duration, { isPlaying, seek }) {
    const isInside = (/** @type {number} */ at) => at >= EARLY_STOP && at < duration - FAR_JUMP;
    const position = positions.find(isInside);
    if (position === undefined) return;
    this.#clearResume();
    const close = () => this.#clearResume();
    this.#resume = offerOf(`Resume at ${clockTime(position)}`, close, () => seek(position));
    this.#count(RESUME_TIME, isPlaying);
    this.#ports.onChanged();
  }

  /**
   * @param {number} left seconds of playing until the place to resume is not offered any more
   * @param {() => boolean} isPlaying
   */
  #count(left, isPlaying) {
    if (left <= 0) return this.#clearResume();
    const tick = () => this.#count(isPlaying() ? left - TICK / 1000 : left, isPlaying);
    this.#cancelResume = this.#ports.schedule(tick, TICK);
    return undefined;
  }

  #clearBack() {
    this.#cancelBack();
    if (!this.#back) return;
    this.#back = null;
    this.#ports.onChanged();
  }

  #clearResume() {
    this.#cancelResume();
    if (!this.#resume) return;
    this.#resume = null;
    this.#ports.onChanged();
  }
}

/**
 * @param {string} text
 * @param {() => void} close
 * @param {() => void} take
 * @returns {Offer}
 */
function offerOf(text, close, take) {
  const act = () => {
    close();
    take();
  };
  return { text, act, close };
}
