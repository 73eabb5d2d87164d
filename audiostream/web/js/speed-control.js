// @ts-check
/** The control of the playback rate. */

import { ApiError } from "./api.js";
import { find, setText } from "./dom.js";

const RATES = [
  ...[0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1, 1.1, 1.2, 1.25, 1.3, 1.4, 1.5],
  ...[1.6, 1.75, 1.8, 2, 2.25, 2.5, 2.75, 3],
];
const CONFLICT = 409;

/** @typedef {import("./player.js").Player} Player */
/** @typedef {{ player: Player, api: import("./api.js").Api }} Session */

export class SpeedControl {
  #current;
  #onRequestFailed;
  #select = find("speed", HTMLSelectElement);
  /** Whether the server has not answered the last choice yet. */
  #isPending = false;

  /**
   * @param {() => Session | null} current
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
    const { player } = this.#current() ?? {};
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
    const session = this.#current();
    if (!session) return;
    this.#isPending = true;
    setText(find("speed-shown"), nameOf(rate));
    try {
      await setRate(session, rate);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#onRequestFailed(error);
    } finally {
      this.#isPending = false;
      this.update();
    }
  }
}

/**
 * Have the server change the rate, wherever it plays. A command over REST leaves the active device
 * as it is; a report of another rate would make this page the active one, or be ignored (R3).
 * @param {Session} session
 * @param {number} rate
 * @throws {ApiError}
 */
async function setRate(session, rate) {
  for (const isLast of [false, true]) {
    try {
      const { position, isPlaying, sync, track } = session.player;
      const change = { currentTime: position, isPlaying, playbackRate: rate, ifRev: sync.state.rev };
      if (track) await session.api.post(`tracks/update-state/${encodeURIComponent(track.id)}`, change);
      return;
    } catch (error) {
      const isOutdated = error instanceof ApiError && error.status === CONFLICT;
      if (isLast || !isOutdated) throw error;
      await new Promise((done) => setTimeout(done, 300)); // the newer state is on its way
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
