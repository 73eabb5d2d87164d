// @ts-check
/**
 * The line to the server: one native WebSocket that authenticates with its first frame and comes
 * back by itself, later and later, never in step with other clients.
 *
 * Here: frames, time limits, reconnecting. Not here: what an event means (player.js), REST
 * (api.js), anything a person sees.
 *
 * A network that is gone closes nothing, and a browser shows no pings to a page. So a line that is
 * silent is asked something, and one that does not answer is given up.
 *
 *     heard ── ASK_AFTER ──► question ── ANSWER_TIME ──► lost ── delay ──► reachable? ──► connect
 *       ▲                       │                                ▲            │ no
 *       └───── any frame ◄──────┘                                └────────────┘
 */

import { isReachable } from "./api.js";

/** Milliseconds before the first attempt to come back, doubled at each further one. */
const FIRST_DELAY = 500;
/** Milliseconds that no attempt waits longer than: what plays on meanwhile is unknown elsewhere. */
const LONGEST_DELAY = 4_000;
/** Milliseconds in which the server greets. */
const GREETING_TIME = 8_000;
/** Milliseconds of silence after which the line is asked something. */
const ASK_AFTER = 2_500;
/** Milliseconds in which it answers: with ASK_AFTER, a dead line is found within ten seconds. */
const ANSWER_TIME = 6_000;
/** Milliseconds without an answer after which what is sent may arrive much later. */
const DOUBTFUL_AFTER = 1_000;
/** A question that changes nothing; the page watches the devices anyway. */
const QUESTION = /** @type {const} */ (["getDevices", { watch: true }]);
/** Milliseconds after which a line counts as good, and the next loss starts with FIRST_DELAY. */
const STEADY_TIME = 5_000;

const TOKEN_REFUSED = 4401;
const GOODBYE = 1000;

/** @typedef {"connecting" | "open" | "waiting" | "closed"} Status */
/** @typedef {Record<string, any>} Data */

/**
 * @typedef {object} Options
 * @property {URL} url where the WebSocket is
 * @property {string} token
 * @property {string} deviceId
 * @property {string} deviceName
 * @property {(status: Status, losses: number) => void} onStatus `losses` counts the attempts that
 *     failed in a row
 * @property {(event: string, data: Data, id?: number | string) => void} onEvent everything that an
 *     authenticated line says, `authenticated` first
 * @property {(reason: string) => void} onRefused the token is refused or has expired: the end
 */

export class Connection {
  /** @type {Status} */
  status = "closed";
  #options;
  #losses = 0;
  #lastId = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {number | undefined} */
  #retry;
  /** @type {number | undefined} */
  #patience;
  /** @type {number | undefined} */
  #silence;
  /** When the oldest question was asked that nothing has come after, in performance.now. */
  /** @type {number | undefined} */
  #askedAt;
  /** @type {number | undefined} */
  #steady;
  #listening = new AbortController();

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
  }

  start() {
    const { signal } = this.#listening;
    addEventListener("online", () => this.retryNow(), { signal });
    const retryIfSeen = () => document.hidden || this.retryNow();
    document.addEventListener("visibilitychange", retryIfSeen, { signal });
    this.#connect();
  }

  /** Leave for good. */
  stop() {
    this.#listening.abort();
    this.#release();
    this.#change("closed");
  }

  /** Whether what is sent now is likely to arrive now. */
  get isAnswering() {
    const isInDoubt = performance.now() - (this.#askedAt ?? Infinity) > DOUBTFUL_AFTER;
    return this.status === "open" && !isInDoubt;
  }

  /** Do not wait any longer, if this is what the line does. */
  retryNow() {
    if (this.status === "waiting") this.#connect();
  }

  /**
   * Send a frame that nobody answers. Does nothing while the line is not open.
   * @param {string} event
   * @param {Data} [data]
   */
  tell(event, data) {
    if (this.status === "open") this.#socket?.send(JSON.stringify({ event, data }));
  }

  /**
   * Send a frame and expect its answer; without one the line is given up for a new one.
   * @param {string} event
   * @param {Data} [data]
   * @returns {number} the id that the answer will carry
   */
  ask(event, data) {
    const id = ++this.#lastId;
    this.#socket?.send(JSON.stringify({ event, data, id }));
    this.#askedAt ??= performance.now();
    this.#patience ??= setTimeout(() => this.#lost(), ANSWER_TIME);
    return id;
  }

  #connect() {
    this.#release();
    this.#change("connecting");
    const socket = new WebSocket(this.#options.url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#introduce(socket));
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#receive(data);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.#socket) this.#closed(code, reason);
    });
    this.#patience = setTimeout(() => this.#lost(), GREETING_TIME);
  }

  /** @param {WebSocket} socket */
  #introduce(socket) {
    const { token, deviceId, deviceName } = this.#options;
    socket.send(JSON.stringify({ event: "auth", data: { token, deviceId, deviceName } }));
  }

  /** @param {string} text */
  #receive(text) {
    const { event, data = {}, id } = JSON.parse(text);
    if (event === "authenticated") {
      this.#steady = setTimeout(() => (this.#losses = 0), STEADY_TIME);
      this.#change("open");
    }
    if (this.status === "open") this.#beHeard();
    // A token in its last minute may be announced before the greeting.
    const isHeard = this.status === "open" || event === "tokenExpiring";
    if (isHeard) this.#options.onEvent(event, data, id);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    if (code === TOKEN_REFUSED) {
      this.stop();
      this.#options.onRefused(reason);
    } else {
      this.#lost();
    }
  }

  #lost() {
    this.#release();
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#losses);
    this.#losses += 1;
    this.#retryIn(delay * (0.5 + Math.random() / 2));
    this.#change("waiting");
  }

  /** @param {number} delay milliseconds */
  #retryIn(delay) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#retryIfReachable(), delay);
  }

  /**
   * A plain request first: browsers let a WebSocket wait, the longer the more of them have failed.
   */
  async #retryIfReachable() {
    const asked = this.#retry;
    const isThere = await isReachable();
    if (asked !== this.#retry || this.status !== "waiting") return;
    if (isThere) this.#connect();
    else this.#lost();
  }

  /** A frame has come: the line is alive. */
  #beHeard() {
    clearTimeout(this.#patience);
    clearTimeout(this.#silence);
    this.#patience = this.#askedAt = undefined;
    this.#silence = setTimeout(() => this.ask(...QUESTION), ASK_AFTER);
  }

  #release() {
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    clearTimeout(this.#silence);
    clearTimeout(this.#steady);
    this.#retry = this.#patience = this.#silence = this.#askedAt = undefined;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(GOODBYE);
  }

  /** @param {Status} status */
  #change(status) {
    if (status === this.status && status !== "waiting") return;
    this.status = status;
    this.#options.onStatus(status, this.#losses);
  }
}
