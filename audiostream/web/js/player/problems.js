// @ts-check
/** Tracks that cannot be played here, and the notices about them. */

/** Tracks in a row that cannot be played, after which it is not the tracks' fault. */
const MAX_FAILURES = 20;
/** Milliseconds of audio after which a notice about a problem is withdrawn. */
const RECOVERED_AFTER = 15_000;

/**
 * @typedef {object} Hooks
 * @property {(text: string) => void} onProblem
 * @property {(text: string) => void} onRecovered the problem is over
 */

export class Problems {
  #hooks;
  /** @type {string[]} titles in a row */
  #failures = [];
  /** What the user still reads, empty for nothing. */
  #shown = "";
  /** @type {number | undefined} when the audio played again, in milliseconds */
  #recoveredAt;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  get hasFailures() {
    return this.#failures.length > 0;
  }

  get isHopeless() {
    return this.#failures.length >= MAX_FAILURES;
  }

  get isShown() {
    return this.#shown !== "";
  }

  /** @param {string} title of a track that cannot be played */
  addFailure(title) {
    this.#failures.push(title);
  }

  forgetFailures() {
    this.#failures = [];
  }

  /** @param {string} text a sentence for the user */
  show(text) {
    this.#shown = text;
    this.#recoveredAt = undefined;
    this.#hooks.onProblem(text);
  }

  /** @param {string} consequence a sentence that follows the one about the failures */
  showFailures(consequence) {
    const [title] = this.#failures;
    const count = this.#failures.length;
    const subject = count > 1 ? `${count} tracks in a row cannot` : `“${title}” cannot`;
    this.show(`${subject} be played here. ${consequence}`);
  }

  /** @param {number} now milliseconds; audio plays at this moment */
  audioPlays(now) {
    this.forgetFailures();
    if (!this.#shown) return;
    this.#recoveredAt ??= now;
    if (now - this.#recoveredAt < RECOVERED_AFTER) return;
    this.#hooks.onRecovered(this.#shown);
    this.#shown = "";
  }
}
