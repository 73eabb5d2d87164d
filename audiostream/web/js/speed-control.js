// @ts-check
/** The control of the playback rate. */

import { ApiError } from "./api.js";
import { find, setText } from "./dom.js";

const RATES = [
  ...[0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1, 1.1, 1.2, 1.25, 1.3, 1.4, 1.5],
  ...[1.6, 1.75, 1.8, 2, 2.25, 2.5, 2.75, 3],
];

/** @typedef {import("./player.js").Player} Player */

export class SpeedControl {
  #current;
  #onRequestFailed;
  #select = find("speed", HTMLSelectElement);
  /** Whether the server has not answered the last choice yet. */
  #isPending = false;

  /**
   * @param {() => Player | null} current
   * @param {(error: ApiError) => void} onRequestFailed
   */
  constructor(current, onRequestFailed) {
    this.#current = current;
    this.#onRequestFailed = onRequestFailed;
    this.#select.append(...RATES.map(optionOf));
    this.#select.addEventListener("change", () => this.#choose(Number(this.#select.value)));
  }

  /** Show the player's rate, which another device may have changed. */
  update() {
    const player = this.#current();
    this.#select.disabled = !player?.track;
    if (this.#isPending) return;
    const rate = player?.rate ?? 1;
    setText(find("speed-shown"), nameOf(rate));
    this.#select.closest(".chip")?.classList.toggle("is-on", rate !== 1);
    if (Number(this.#select.value) === rate) return;
    const isKnown = [...this.#select.options].some(({ value }) => Number(value) === rate);
    if (!isKnown) this.#select.add(optionOf(rate));
    this.#select.value = String(rate);
  }

  /** @param {number} rate */
  async #choose(rate) {
    const player = this.#current();
    if (!player) return;
    this.#isPending = true;
    setText(find("speed-shown"), nameOf(rate));
    try {
      await player.setRate(rate);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#onRequestFailed(error);
    } finally {
      this.#isPending = false;
      this.update();
    }
  }
}

/** @param {number} rate */
function optionOf(rate) {
  return new Option(nameOf(rate), String(rate));
}

/** @param {number} rate */
function nameOf(rate) {
  return `${rate}×`;
}
