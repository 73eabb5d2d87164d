// @ts-check
/** Tells the end of a track from an end of the audio before it. */

/** Seconds before the duration in which the end of the audio is that of the track. */
const NEAR_END = 3;
/** Seconds that two loads of a file may end apart, which then has no more. */
const SAME_END = 1;

export class EndDetector {
  /** @type {number | undefined} seconds at which the audio of this track ended early */
  #endedAt;

  /** Begin anew, with another track. */
  reset() {
    this.#endedAt = undefined;
  }

  /**
   * Elements also end where a file is shorter than it says, and some where the network broke: then
   * another load has more.
   * @param {{ position: number, duration?: number, played: number, rate: number }} audio in
   *     seconds; `played` is the position until which it has played
   * @returns {number | undefined} the end in seconds, undefined where it is to be loaded again
   */
  endOf({ position, duration, played, rate }) {
    const missing = Math.max(position, duration ?? 0) - played;
    if (missing <= NEAR_END * rate) return position;
    if (Math.abs(played - (this.#endedAt ?? Infinity)) <= SAME_END) return played;
    this.#endedAt = played;
    return undefined;
  }
}
