// @ts-check
/**
 * `Manager`: the WebSocket below a socket. It authenticates, sets the cookie that opens the stream
 * route to `<audio>`, renews the token, and reconnects.
 *
 *     auth ──► WebSocket ──► authenticated ──► open ──► lost
 *                  ▲                                     │
 *                  └── reachable? ◄── delay, doubled ◄───┘
 */

import { Emitter } from "./emitter.js";
import { Heartbeat, PING_TIMEOUT } from "./heartbeat.js";
import { COMMANDS, Socket } from "./socket.js";
import { baseOf, isAnswering } from "./url.js";

/** Milliseconds until the server has authenticated; then another attempt has better chances. */
const AUTH_TIMEOUT = 10_000;
/** Milliseconds after which a connection is good, and the next delay is the shortest again. */
const STABLE_AFTER = 5_000;

const UNAUTHORIZED = 4401;
const OTHER_USER = 4403;

/** @typedef {import("./socket.js").Auth} Auth */
/** @typedef {import("./socket.js").Frame} Frame */
/** @typedef {ReturnType<typeof setTimeout>} Timer */
/** @typedef {"closed" | "opening" | "open" | "waiting"} Status */

export class Manager extends Emitter {
  _isWanted = false;
  /** @type {Record<string, any>} */
  opts;
  /** @type {string[]} what the server can do, as it said at the last connection */
  features = [];
  #base;
  #socket;
  #heartbeat;
  /** @type {Status} */
  #status = "closed";
  /** @type {WebSocket | null} the current one; events of others are ignored */
  #webSocket = null;
  /** Grows with every connection and every end of one: what was awaited for an older is ignored. */
  #generation = 0;
  /** Attempts since the connection was lost. */
  #attempts = 0;
  /** How often the delay was doubled. */
  #doublings = 0;
  /** @type {Auth} of the current connection */
  #auth = {};
  /** @type {Frame[]} received before "connect" was dispatched */
  #early = [];
  /** @type {Record<string, any> | undefined} the error event before the connection was open */
  #refusal;
  /** @type {Timer | undefined} */
  #authTimer;
  /** @type {Timer | undefined} */
  #retryTimer;
  /** @type {Timer | undefined} */
  #stableTimer;
  #pageListeners = new AbortController();

  /**
   * @param {string | Record<string, any>} [url] where the server is mounted; else "/"
   * @param {Record<string, any>} [options]
   */
  constructor(url, options) {
    super();
    if (typeof url === "object") [url, options] = [undefined, url];
    this.#base = baseOf(url || "/");
    const query = Object.fromEntries(this.#base.searchParams);
    this.opts = { ...options, query: { ...query, ...options?.query } };
    this.#socket = new Socket(this);
    // `auth` is the one frame that is answered and changes nothing: `getCurrentState` would count
    // as sending the state to this device.
    const onDead = () => this.#lost("ping timeout");
    this.#heartbeat = new Heartbeat(this.opts, () => this.#authenticate(), onDead);
  }

  /**
   * @param {string} [_namespace] there is but one
   * @param {Record<string, any>} [options]
   */
  socket(_namespace, options) {
    if (options?.auth) this.#socket.auth = options.auth;
    if (this.opts.autoConnect !== false) this.open();
    return this.#socket;
  }

  open() {
    if (!this._isWanted) this.#watchPage();
    this._isWanted = true;
    if (this.#status === "closed") this.#connect();
    return this;
  }

  /** Reconnect now, not at the end of the delay. */
  retry() {
    if (this.#status !== "waiting") return this;
    const generation = this.#generation;
    this._dispatch("reconnect_attempt", this.#attempts);
    if (generation === this.#generation) this.#connect();
    return this;
  }

  get _isResponding() {
    return this.#heartbeat.isResponding;
  }

  /** @param {Frame} frame */
  _send(frame) {
    this.#write(frame);
    this.#heartbeat.sent(COMMANDS.has(frame.event));
  }

  _close() {
    const wasOpen = this.#status === "open";
    this.#shutDown();
    if (wasOpen) this.#dispatchLost("io client disconnect");
  }

  async #connect() {
    this.#status = "opening";
    clearTimeout(this.#retryTimer);
    const generation = ++this.#generation;
    await null; // so that an `auth` function may use what io() returns
    const auth = await this.#readAuth();
    if (generation !== this.#generation) return;
    this.#auth = auth;
    this.#refusal = undefined;
    const webSocket = new WebSocket(this.#urlOf("ws").replace(/^http/, "ws"));
    const isCurrent = () => webSocket === this.#webSocket;
    webSocket.onopen = () => this.#authenticate();
    webSocket.onmessage = ({ data }) => isCurrent() && this.#receive(JSON.parse(data));
    webSocket.onclose = (event) => isCurrent() && this.#closed(event);
    this.#webSocket = webSocket;
    const expire = () => this.#failed(new Error("timeout"));
    this.#authTimer = setTimeout(expire, this.opts.timeout ?? AUTH_TIMEOUT);
  }

  /** @returns {Promise<Auth>} */
  async #readAuth() {
    const { auth } = this.#socket;
    /** @type {Auth | undefined} */
    const given = typeof auth === "function" ? await new Promise((done) => auth(done)) : auth;
    const token = String(given?.token ?? this.opts.query.token ?? "").replace(/^Bearer /i, "");
    return { token, deviceId: given?.deviceId, deviceName: given?.deviceName };
  }

  #authenticate() {
    this.#write({ event: "auth", data: this.#auth });
  }

  /** @param {Frame} frame */
  #write(frame) {
    this.#webSocket?.send(JSON.stringify(frame));
  }

  /** @param {Frame} frame */
  #receive(frame) {
    const { event, data, id } = frame;
    if (this.#status === "opening") {
      if (event === "error") this.#receiveRefusal(data);
      else if (event === "authenticated") this.#opened(data);
      else this.#early.push(frame);
      return;
    }
    this.#heartbeat.received();
    const isOfAuth = event === "authenticated" || (event === "error" && data.event === "auth");
    if (isOfAuth && id === undefined) return;
    this.#socket._receive(frame);
    if (event === "tokenExpiring") this.#renew();
  }

  /** @param {{ deviceId: string, features?: string[] }} authenticated */
  async #opened({ deviceId, features }) {
    this.features = features ?? [];
    const generation = this.#generation;
    if (this.opts.session !== false) await this.#openSession();
    if (generation !== this.#generation) return;
    clearTimeout(this.#authTimer);
    this.#status = "open";
    this.#heartbeat.received();
    this.#stableTimer = setTimeout(() => (this.#doublings = 0), STABLE_AFTER);
    const attempts = this.#attempts;
    this.#attempts = 0;
    this._dispatch("open");
    if (attempts) this._dispatch("reconnect", attempts);
    this.#socket._opened(deviceId);
    for (const frame of this.#early.splice(0)) {
      if (generation === this.#generation) this.#receive(frame);
    }
  }

  /** Set the stream cookie. Failures are ignored: a ticket or a Bearer token opens streams too. */
  async #openSession() {
    const headers = { Authorization: `Bearer ${this.#auth.token}` };
    const signal = AbortSignal.timeout(PING_TIMEOUT);
    const request = { method: "POST", credentials: /** @type {const} */ ("include") };
    await fetch(this.#urlOf("session"), { ...request, headers, signal }).catch(() => {});
  }

  async #renew() {
    const generation = this.#generation;
    const auth = await this.#readAuth();
    if (generation !== this.#generation || auth.token === this.#auth.token) return;
    this.#auth = auth;
    this.#authenticate();
    if (this.opts.session !== false) this.#openSession();
  }

  /** @param {CloseEvent} event */
  #closed(event) {
    const { code, reason } = event;
    if (this.#status === "open") {
      const isDismissed = code === UNAUTHORIZED || code === OTHER_USER;
      const details = { description: reason, context: event };
      this.#lost(isDismissed ? "io server disconnect" : "transport close", details);
    } else if (code === UNAUTHORIZED) {
      this.#refused(this.#refusal?.message ?? reason);
    } else {
      this.#failed(new Error(reason || "websocket error"));
    }
  }

  /**
   * The server closes the connection where it refuses a token. Where it refuses a label it waits
   * for another `auth`, which is the page's to make.
   * @param {{code: string, message: string}} refusal
   */
  #receiveRefusal(refusal) {
    this.#refusal = refusal;
    if (refusal.code === "invalid_message") this.#refused(refusal.message);
  }

  /** @param {string} message */
  #refused(message) {
    this.#shutDown();
    const error = new Error(message);
    this.#socket._dispatch("connect_error", Object.assign(error, { data: this.#refusal }));
  }

  /**
   * @param {string} reason
   * @param {{ description: string, context: CloseEvent }} [details]
   */
  #lost(reason, details) {
    this.#drop("waiting");
    this.#dispatchLost(reason, details);
    this.#retryLater(reason === "ping timeout");
  }

  /** @param {Error} error */
  #failed(error) {
    this.#drop("waiting");
    this._dispatch("error", error);
    if (this.#attempts) this._dispatch("reconnect_error", error);
    this.#socket._dispatch("connect_error", error);
    this.#retryLater();
  }

  /**
   * @param {string} reason
   * @param {{ description: string, context: CloseEvent }} [details]
   */
  #dispatchLost(reason, details) {
    this._dispatch("close", reason);
    this.#socket._disconnected(reason, details);
  }

  /** @param {boolean} [isDue] whether the timeout was delay enough */
  #retryLater(isDue = false) {
    if (this.#status !== "waiting") return; // a listener has closed it
    const { reconnection = true, reconnectionAttempts = Infinity } = this.opts;
    if (!reconnection || this.#attempts >= reconnectionAttempts) {
      this.#status = "closed";
      this.#attempts = 0;
      this.#socket._rejectAcks(true);
      if (reconnection) this._dispatch("reconnect_failed");
      return;
    }
    this.#attempts++;
    const { reconnectionDelay = 1000, reconnectionDelayMax = 5000 } = this.opts;
    const delay = Math.min(reconnectionDelayMax, reconnectionDelay * 2 ** this.#doublings++);
    const jitter = Math.random() * (this.opts.randomizationFactor ?? 0.5);
    const retry = () => this.#retryIfReachable();
    this.#retryTimer = setTimeout(retry, isDue ? 0 : delay * (1 - jitter));
  }

  /**
   * Send a plain request before the WebSocket's: browsers delay WebSockets, the longer the more of
   * them have failed. Other origins may not answer it, so they are not asked.
   */
  async #retryIfReachable() {
    const generation = this.#generation;
    const isOwnOrigin = this.#base.origin === globalThis.location?.origin;
    const isReachable = !isOwnOrigin || (await isAnswering(this.#urlOf("")));
    if (generation !== this.#generation || this.#status !== "waiting") return;
    if (isReachable) return this.retry();
    this._dispatch("reconnect_attempt", this.#attempts);
    if (generation === this.#generation) this.#failed(new Error("websocket error"));
  }

  #watchPage() {
    const { signal } = (this.#pageListeners = new AbortController());
    const wake = () => {
      if (globalThis.document?.hidden) return;
      if (this.#status === "open") this.#heartbeat.probe();
      else this.retry();
    };
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal });
  }

  #shutDown() {
    this._isWanted = false;
    this.#attempts = this.#doublings = 0;
    this.#pageListeners.abort();
    this.#drop("closed");
    this.#socket._rejectAcks(true);
  }

  /** @param {Status} status */
  #drop(status) {
    this.#generation++;
    this.#status = status;
    this.#heartbeat.stop();
    for (const timer of [this.#authTimer, this.#retryTimer, this.#stableTimer]) clearTimeout(timer);
    this.#early = [];
    this.#webSocket?.close();
    this.#webSocket = null;
  }

  /** @param {string} path */
  #urlOf(path) {
    return this.#base.origin + this.#base.pathname + path;
  }
}
