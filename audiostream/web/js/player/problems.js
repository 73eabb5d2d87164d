// @ts-check
/** Tracks that cannot be played here, and the notices about them. */

/** Tracks in a row that cannot be played, after which it is not the tracks' fault. */
const MAX_FAILURES = 20;
/** Milliseconds of audio after which a notice that a track was skipped is withdrawn. */
const RECOVERED_AFTER = 15_000;

/**
 * @typedef {object} Hooks
 * @property {(text: string) => void} onProblem
 * @property {(text: string) => void} onRecovered the problem is over
 */

export class Problems {
  #hooks;
  /** @type {{ title: string, id: string | null }[]} in a row */
  #failures = [];
  /** Milliseconds of audio after which what is shown is withdrawn. */
  #recoveredAfter = RECOVERED_AFTER;
  /** What the user still reads, empty for nothing. */
  #shown = "";
  /** @type {number | undefined} when the audio played again, in milliseconds */
  #recoveredAt;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /**
   * @param {string[]} following the ids of what would be tried next
   * @returns {boolean} whether that makes no sense: too many have failed, or all of these
   */
  isHopeless(following) {
    const failed = new Set(this.#failures.map(({ id }) => id));
    const areKnown = following.length > 0 && following.every((id) => failed.has(id));
    return areKnown || this.#failures.length >= MAX_FAILURES;
  }

  get isShown() {
    return this.#shown !== "";
  }

  /**
   * @param {string} title of a track that cannot be played
   * @param {string | null} id
   */
  addFailure(title, id) {
    this.#failures.push({ title, id });
  }

  forgetFailures() {
    this.#failures = [];
  }

  /** @param {string} text a sentence for the user */
  show(text) {
    this.#shown = text;
    this.#recoveredAt = undefined;
    this.#recoveredAfter = RECOVERED_AFTER;
    this.#hooks.onProblem(text);
  }

  /**
   * @param {string} consequence a sentence that follows the one about the failures
   * @param {boolean} [isPaused] whether nothing plays then, until the user chooses something
   */
  showFailures(consequence, isPaused = false) {
    const [{ title }] = this.#failures;
    const count = this.#failures.length;
    const subject = count > 1 ? `${count} tracks in a row cannot` : `“${title}” cannot`;
    this.show(`${subject} be played here. ${consequence}`);
    if (isPaused) this.#recoveredAfter = 0;
  }

  /** @param {number} now milliseconds; audio plays at this moment */
  audioPlays(now) {
    this.forgetFailures();
    if (!this.#shown) return;
    this.#recoveredAt ??= now;
    if (now - this.#recoveredAt < this.#recoveredAfter) return;
    this.#hooks.onRecovered(this.#shown);
    this.#shown = "";
  }
}
