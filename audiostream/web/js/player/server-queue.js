// @ts-check
/**
 * `ServerQueue`: the server's queue as it is here, and its edits. An edit is shown at once, and sent
 * for the rev that the user saw; where somebody else has acted it is done once more, on the queue of
 * now.
 */

import { isSendable } from "./queue.js";
import { NO_STATE } from "./state.js";

const OFFLINE = "The queue can be changed once the server answers again.";
const CHANGED = "The queue was changed elsewhere meanwhile. Please look again.";

/** @typedef {import("./queue.js").Edit} Edit */
/** @typedef {import("./queue.js").Queue} Queue */
/** @typedef {import("./ports.js").Connection} Connection */
/** @typedef {import("./ports.js").Data} Data */
/** @typedef {import("./state.js").State} State */

/**
 * @typedef {object} Sync what is changed in the conversation with the server
 * @property {State} state
 * @property {number} expectedRev
 * @property {(rev: number) => void} sentFor a change was sent for this rev
 */

/**
 * @typedef {object} Hooks
 * @property {() => void} onChanged
 * @property {(text: string) => void} onProblem
 * @property {() => string} newId of a command
 */

export class ServerQueue {
  /** @type {string[] | null} null before the server has sent it */
  trackIds = null;
  #sync;
  #connection;
  #hooks;
  /** Edits that are not answered. */
  #pending = 0;

  /**
   * @param {Sync} sync
   * @param {Connection} connection
   * @param {Hooks} hooks
   */
  constructor(sync, connection, hooks) {
    this.#sync = sync;
    this.#connection = connection;
    this.#hooks = hooks;
  }

  /** @type {Queue | null} null before the server has sent it */
  get value() {
    const { index = null, repeat = "off" } = this.#sync.state.queue ?? {};
    return this.trackIds && { trackIds: this.trackIds, index, repeat };
  }

  get isPending() {
    return this.#pending > 0;
  }

  /** @param {() => void} [onAnswer] the queue here is the server's */
  ask(onAnswer) {
    this.#connection.send("getQueue", {}, ({ error }) => error || onAnswer?.());
  }

  disconnected() {
    this.#pending = 0;
  }

  /** @param {Data} data of `queue` or `queueUpdated` */
  receive({ trackIds, index, repeat, nextTrack }) {
    if (this.#pending > 1) return; // a later edit is shown already
    this.#show({ trackIds, index, repeat }, nextTrack);
  }

  /**
   * @param {Edit} edit
   * @param {boolean} [isRetry]
   * @returns {boolean} whether it was sent; if not, or if it is refused, the user is told
   */
  edit(edit, isRetry = false) {
    const { value } = this;
    if (!this.#connection.isConnected || !value) return this.#notSent(OFFLINE);
    const edited = edit(value);
    if (!edited) return this.#notSent(CHANGED);
    const { trackIds, index } = edited;
    const { maxQueue } = this.#connection;
    if (!isSendable(trackIds, maxQueue)) return this.#notSent(tooLong(trackIds.length, maxQueue));
    const { expectedRev } = this.#sync;
    const ifRev = expectedRev === NO_STATE.rev ? undefined : expectedRev;
    const data = { trackIds, ...(index !== null && { queueIndex: index }), ifRev };
    this.#send("setQueue", data, { ...value, ...edited }, (error) => {
      const isChanged = error.code === "conflict" && !isRetry;
      if (!isChanged) this.#refused(error);
      this.ask(() => isChanged && this.edit(edit, true));
    });
    return true;
  }

  /** @param {import("../../client.js").Repeat} repeat */
  setRepeat(repeat) {
    const value = this.value ?? { trackIds: [], index: null };
    this.#sendOrRefuse("setRepeat", { repeat }, { ...value, repeat });
  }

  /** @returns {boolean} whether it was sent; if not the user is told */
  shuffle() {
    return this.value !== null && this.#sendOrRefuse("shuffleQueue", {}, this.value);
  }

  /**
   * @param {string} event
   * @param {Data} data
   * @param {Queue} shown at once
   */
  #sendOrRefuse(event, data, shown) {
    if (!this.#connection.isConnected) return this.#notSent(OFFLINE);
    this.#send(event, data, shown, (error) => {
      this.#refused(error);
      this.ask();
    });
    return true;
  }

  /** @param {string} why */
  #notSent(why) {
    this.#hooks.onProblem(why);
    return false;
  }

  /**
   * @param {string} event
   * @param {Data} data
   * @param {Queue} shown at once
   * @param {(error: Data) => void} onRefused
   */
  #send(event, data, shown, onRefused) {
    this.#sync.sentFor(this.#sync.expectedRev);
    this.#pending += 1;
    this.#show(shown, undefined);
    const commandId = this.#hooks.newId();
    this.#connection.send(event, { ...data, commandId }, ({ error }) => {
      this.#pending -= 1;
      if (error) onRefused(error);
    });
  }

  /**
   * @param {Queue} queue
   * @param {State["nextTrack"]} nextTrack undefined while unknown
   */
  #show({ trackIds, index, repeat }, nextTrack) {
    this.trackIds = trackIds;
    const queue = { index, length: trackIds.length, repeat };
    this.#sync.state = { ...this.#sync.state, queue, nextTrack };
    this.#hooks.onChanged();
  }

  /** @param {Data} error */
  #refused({ code, message }) {
    this.#hooks.onProblem(code === "conflict" ? CHANGED : `The server says: ${message}.`);
  }
}

/**
 * @param {number} length
 * @param {number} most
 */
function tooLong(length, most) {
  if (length <= most) return "These tracks are too many for the queue.";
  const [limit, many] = [most, length].map((number) => number.toLocaleString("en"));
  return `The queue holds ${limit} tracks at most; this would make ${many}.`;
}
