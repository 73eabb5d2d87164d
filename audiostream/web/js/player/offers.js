// @ts-check
/**
 * `Offers`: what the user can do for a moment with one press: go back to where a jump began, or to
 * where a long track was left.
 */

import { clockTime } from "../format.js";

/** Milliseconds that an offer stands. */
export const OFFER_TIME = 10_000;
/** Seconds beyond which a change of the position is a jump, as the server's FAR_JUMP. */
export const FAR_JUMP = 30;
/** Seconds of a track that is worth to be resumed: a talk, a mix, a chapter. */
export const LONG_TRACK = 600;

/**
 * @typedef {object} Offer
 * @property {string} text of a button
 * @property {() => void} act
 */

export class Offers {
  /** @type {Offer | null} */
  current = null;
  #ports;
  #cancelTimer = () => {};

  /** @param {Pick<import("./ports.js").Ports, "schedule" | "onChanged">} ports */
  constructor(ports) {
    this.#ports = ports;
  }

  /** Withdraw the offer. */
  clear() {
    this.#cancelTimer();
    if (!this.current) return;
    this.current = null;
    this.#ports.onChanged();
  }

  /**
   * Offer to go back, if a seek was a jump.
   * @param {number} from seconds
   * @param {number} to seconds
   * @param {(position: number) => void} seek
   */
  jumped(from, to, seek) {
    if (Math.abs(to - from) > FAR_JUMP) this.#offer(`Back to ${clockTime(from)}`, () => seek(from));
    else this.clear();
  }

  /**
   * Offer to go on where a long track was left.
   * @param {number[]} positions seconds where it stopped, the newest first
   * @param {number} duration seconds
   * @param {(position: number) => void} seek
   */
  started([position], duration, seek) {
    const isInside = position > FAR_JUMP && position < duration - FAR_JUMP;
    if (isInside) this.#offer(`Resume at ${clockTime(position)}`, () => seek(position));
  }

  /**
   * @param {string} text
   * @param {() => void} act
   */
  #offer(text, act) {
    this.clear();
    const isTaken = () => {
      this.clear();
      act();
    };
    this.current = { text, act: isTaken };
    this.#cancelTimer = this.#ports.schedule(() => this.clear(), OFFER_TIME);
    this.#ports.onChanged();
  }
}
