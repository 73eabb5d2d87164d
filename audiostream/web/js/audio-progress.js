// @ts-check
/** Whether an audio element makes progress: it plays, or loads. */

/**
 * Milliseconds without audio and without bytes after which the server is asked, doubled at each
 * further load: an element has no event for an outage, and waits for ever.
 */
const STALLED_AFTER = 2_000;

/** Loads without audio before a stream is given up that the server serves. */
const MAX_LOADS = 3;
/** The same where the server answers, but does not serve it. */
const MAX_UNSERVED_LOADS = 5;

/**
 * @param {number} loads in a row that brought no audio
 * @param {boolean} [isFetched] whether the browser got all that it asked for
 * @returns {boolean} whether another load makes no sense
 */
export function isHopeless(loads, isFetched) {
  return loads >= (isFetched ? MAX_LOADS : MAX_UNSERVED_LOADS);
}

export class AudioProgress {
  #audio;
  /** When there was progress last, in milliseconds of performance.now. */
  #at = 0;
  #seen = "";

  /** @param {HTMLAudioElement} audio */
  constructor(audio) {
    this.#audio = audio;
  }

  /** Begin anew: a load has begun. */
  reset() {
    this.#at = performance.now();
  }

  /**
   * Look at the element; call it a few times a second.
   * @param {boolean} isExpected whether the element should play
   * @returns {boolean} whether there was progress since the last look
   */
  look(isExpected) {
    const { buffered, currentTime, paused, readyState } = this.#audio;
    const loaded = buffered.length ? buffered.end(buffered.length - 1) : 0;
    const seen = [currentTime, loaded, readyState].join();
    const isProgress = seen !== this.#seen;
    this.#seen = seen;
    if (isProgress || paused || !isExpected) this.reset();
    return isProgress;
  }

  /** @param {number} [loads] in a row that brought no audio */
  isStalled(loads = 0) {
    return performance.now() - this.#at >= STALLED_AFTER * 2 ** loads;
  }
}
