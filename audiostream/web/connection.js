// @ts-check
/**
 * The line to the server: one native WebSocket that authenticates with its first frame and comes
 * back by itself, later and later, never in step with other clients.
 *
 * Here: frames, time limits, reconnecting. Not here: what an event means (playback.js), REST
 * (catalogue.js), anything a person sees.
 */

/** Milliseconds before the first attempt to come back, doubled at each further one. */
const FIRST_DELAY = 500;
/** Milliseconds that no attempt waits longer than. */
const LONGEST_DELAY = 30_000;
/** Milliseconds in which the server greets and answers; a line silent for longer is dead. */
const ANSWER_TIME = 8_000;
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
  #steady;
  #listening = new AbortController();

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
  }

  start() {
    const { signal } = this.#listening;
    addEventListener("online", () => this.retryNow(), { signal });
    document.addEventListener("visibilitychange", () => this.retryNow(), { signal });
    this.#connect();
  }

  /** Leave for good. */
  stop() {
    this.#listening.abort();
    this.#release();
    this.#change("closed");
  }

  /** Do not wait any longer, if this is what the line does. */
  retryNow() {
    if (this.status === "waiting" && !document.hidden) this.#connect();
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
    this.#expectAnswer();
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
    this.#expectAnswer();
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
      clearTimeout(this.#patience);
      this.#steady = setTimeout(() => (this.#losses = 0), STEADY_TIME);
      this.#change("open");
    }
    if (id === this.#lastId) clearTimeout(this.#patience);
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
    this.#retry = setTimeout(() => this.#connect(), delay * (0.5 + Math.random() / 2));
    this.#change("waiting");
  }

  #expectAnswer() {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#lost(), ANSWER_TIME);
  }

  #release() {
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    clearTimeout(this.#steady);
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
