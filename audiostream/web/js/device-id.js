// @ts-check
/** The id under which the server lists this tab. */

import { randomId } from "./client/random-id.js";

const DEVICE_KEY = "audiostream.device";
/** Messages between the tabs of this browser: `{ id, from }` claims an id, `{ held }` has it. */
const CHANNEL = "audiostream.device";
/** Milliseconds in which a tab that has the id answers. */
const ANSWER_TIME = 150;

/**
 * This tab's own id: it survives a reload, and no other tab has it. A tab that is duplicated, or
 * opened from another, begins with a copy of the other's storage; so the id is stored only while
 * its page is not shown, and one that was stored is claimed: a tab that has it answers.
 * @returns {Promise<string>}
 */
export async function deviceId() {
  const stored = sessionStorage.getItem(DEVICE_KEY);
  const remove = () => sessionStorage.removeItem(DEVICE_KEY);
  remove();
  const claim = new Claim();
  const isOwn = stored !== null && (await claim.succeeds(stored));
  const id = isOwn ? stored : randomId();
  const store = () => sessionStorage.setItem(DEVICE_KEY, id);
  const resume = async () => {
    remove();
    if (!(await claim.succeeds(id))) location.reload(); // a copy of this tab has gone on meanwhile
  };
  claim.hold(id);
  addEventListener("pagehide", store);
  addEventListener("pageshow", ({ persisted }) => persisted && resume());
  document.addEventListener("freeze", store);
  document.addEventListener("resume", resume);
  return id;
}

class Claim {
  // The Web Locks API is missing on pages without TLS.
  #channel = new BroadcastChannel(CHANNEL);
  #from = randomId();
  /** @type {string | null} */
  #held = null;
  /** @type {string | null} */
  #claimed = null;
  #onHeld = () => {};

  constructor() {
    this.#channel.onmessage = ({ data: { id, from, held } }) => {
      if (held !== undefined && held === this.#claimed) this.#onHeld();
      // Of two that claim it at the same time one gets it.
      const isFirst = id === this.#claimed && this.#from < from;
      if (id !== undefined && (id === this.#held || isFirst)) this.#channel.postMessage({ held: id });
    };
  }

  /** @param {string} id which others shall not get */
  hold(id) {
    this.#held = id;
  }

  /**
   * @param {string} id
   * @returns {Promise<boolean>} whether no other tab has it
   */
  async succeeds(id) {
    this.#claimed = id;
    this.#channel.postMessage({ id, from: this.#from });
    const isFree = await new Promise((resolve) => {
      this.#onHeld = () => resolve(false);
      setTimeout(() => resolve(true), ANSWER_TIME);
    });
    this.#claimed = null;
    return isFree;
  }
}
