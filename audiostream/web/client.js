// @ts-check
/**
 * `io()` with the interface of socket.io-client 4, on the server's native WebSocket: a page written
 * against that package runs unchanged with the import map {"socket.io-client": "/client.js"}.
 *
 * Here: listeners, acknowledgements, what waits while the line is down, coming back, renewing the
 * token, the cookie that opens the stream route to `<audio>`. Not here: Engine.IO, namespaces and
 * binary attachments, what an event means.
 *
 *     Socket: emit ──► frame, or buffer        Manager: auth ──► WebSocket ──► "connect"
 *             listeners ◄── frame                       ▲                 │
 *                                                       └── back-off ◄────┘ lost
 *
 * A browser does not say that a line is dead, so it is asked after a SILENCE; without an answer the
 * next one is tried at once. That costs 500 bytes each time: 100 a second for a page that is idle
 * and can be seen, 20 for a hidden one.
 *
 * A command takes effect once. One whose answer was lost with its line is sent again, with the same
 * `commandId`, by which the server knows it if TCP delivers the first copy too. Every copy has the
 * `ifRev` that it was meant for, so that one that arrives late does not undo what was done since:
 * that is a `conflict`. One that is refused while it is FRESH has lost a race, and goes without. A
 * restart makes a new rev of the same state; `updatedAt` shows it.
 *
 * The types that callers see are in client.d.ts.
 */

/** Milliseconds without a frame after which the line is asked whether it is alive. */
const SILENCE = 5_000;
/** The same for a page that is hidden and has emitted nothing for USE_TIME. */
const IDLE_SILENCE = 25_000;
const USE_TIME = 10_000;
/** Milliseconds in which it answers; one that does not is dead. */
const ANSWER_TIME = 4_500;
/** Milliseconds in which a command that is refused was not held up on its way. */
const FRESH = 2_000;
/** Milliseconds until the server has greeted; then another attempt has better chances. */
const GREETING_TIME = 10_000;

const TOKEN_REFUSED = 4401;
const OTHER_USER = 4403;

/** What only this side says to the page. */
const RESERVED = new Set(["connect", "connect_error", "disconnect", "disconnecting"]);
/** Where a player is, is worth nothing once it is somewhere else. */
const REPORT = "updateStreaming";
/** What changes the playback, and is answered in any case. */
const COMMANDS = new Set(["playTrack", "pauseTrack"]);

/** @typedef {(...args: any[]) => void} Listener */
/** @typedef {{ event: string, data?: any, id?: number }} Frame */
/** @typedef {{ token?: string, [key: string]: any }} Auth */
/** @typedef {(error: Error | null, data?: any) => void} Settle */
/** @typedef {{ volatile?: boolean, timeout?: number, errorFirst?: boolean }} Flags */
/** @typedef {{ rev?: number, updatedAt?: number }} Known of the state */
/** @typedef {{ frame: Frame, at: number } & Known} Sent a command, and the state it was meant for */
/** @typedef {"closed" | "opening" | "open" | "waiting"} Status */

class Emitter {
  /** @type {Map<string, Listener[]>} */
  #listeners = new Map();

  /**
   * @param {string} event
   * @param {Listener} listener
   */
  on(event, listener) {
    this.#listeners.set(event, [...this.listeners(event), listener]);
    return this;
  }

  /**
   * @param {string} event
   * @param {Listener} listener
   */
  once(event, listener) {
    /** @type {Listener & { of?: Listener }} */
    const once = (...args) => {
      this.off(event, once);
      listener.apply(this, args);
    };
    once.of = listener;
    return this.on(event, once);
  }

  /**
   * Forget one listener, all of an event, or all.
   * @param {string} [event]
   * @param {Listener & { of?: Listener }} [listener]
   */
  off(event, listener) {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.set(event, listener ? without(this.listeners(event), listener) : []);
    return this;
  }

  /** @param {string} event */
  listeners(event) {
    return this.#listeners.get(event) ?? [];
  }

  /** @param {string} event */
  hasListeners(event) {
    return this.listeners(event).length > 0;
  }

  /**
   * @param {string} event
   * @param {any[]} args
   */
  _tell(event, ...args) {
    for (const listener of this.listeners(event)) listener.apply(this, args);
  }
}

export class Socket extends Emitter {
  connected = false;
  /** @type {string | undefined} the `deviceId` that states carry; none while disconnected */
  id;
  recovered = false;
  /** @type {Auth | ((give: (auth: Auth) => void) => void) | undefined} */
  auth;
  /** @type {Frame[]} */
  sendBuffer = [];
  /** @type {Map<number | undefined, Settle>} */
  #expected = new Map();
  /** @type {Map<number | undefined, Sent>} commands without an answer so far */
  #unanswered = new Map();
  /** @type {Known} */
  #known = {};
  /** @type {Listener[]} */
  #anyListeners = [];
  /** @type {Flags} */
  #flags = {};
  #lastId = 0;

  /** @param {Manager} manager */
  constructor(manager) {
    super();
    this.io = manager;
    this.auth = manager.opts.auth;
  }

  /** Whether it is connected, or will be by itself. */
  get active() {
    return this.io._wanted;
  }

  get disconnected() {
    return !this.connected;
  }

  connect() {
    this.io.open();
    return this;
  }

  open() {
    return this.connect();
  }

  disconnect() {
    this.io._close();
    return this;
  }

  close() {
    return this.disconnect();
  }

  /** The next emit is dropped instead of buffered. */
  get volatile() {
    this.#flags.volatile = true;
    return this;
  }

  /**
   * The next emit's acknowledgement gets an error first, and after this time.
   * @param {number} milliseconds
   */
  timeout(milliseconds) {
    this.#flags.timeout = milliseconds;
    return this;
  }

  /**
   * @param {string} event
   * @param {any[]} args the data, an object; then perhaps a function that gets the answer
   */
  emit(event, ...args) {
    if (RESERVED.has(event)) throw new Error(`"${event}" is a reserved event name`);
    const flags = this.#flags;
    this.#flags = {};
    const listener = typeof args.at(-1) === "function" ? args.pop() : null;
    /** @type {Frame} */
    const frame = { event, data: args[0] };
    if (COMMANDS.has(event) && !flags.volatile) {
      frame.id = ++this.#lastId;
      frame.data = { commandId: newId(), ...frame.data };
    }
    if (listener) this.#expect(frame, listener, flags);
    if (this.connected) this.#send(frame);
    else if (!flags.volatile && event !== REPORT) this.sendBuffer.push(frame);
    return this;
  }

  /**
   * @param {string} event
   * @param {any[]} args
   * @returns {Promise<any>} the answer; rejected when the time is over or the line is lost
   */
  emitWithAck(event, ...args) {
    this.#flags.errorFirst = true;
    return new Promise((resolve, reject) => {
      this.emit(event, ...args, (/** @type {Error | null} */ error, /** @type {any} */ data) =>
        error ? reject(error) : resolve(data),
      );
    });
  }

  /** @param {Listener} listener told every event of the server, before others are */
  onAny(listener) {
    this.#anyListeners = [...this.#anyListeners, listener];
    return this;
  }

  /** @param {Listener} [listener] */
  offAny(listener) {
    this.#anyListeners = listener ? without(this.#anyListeners, listener) : [];
    return this;
  }

  listenersAny() {
    return this.#anyListeners;
  }

  /**
   * @param {Frame} frame
   * @param {Listener} listener
   * @param {Flags} flags
   */
  #expect(frame, listener, { timeout = this.io.opts.ackTimeout, errorFirst }) {
    const id = (frame.id ??= ++this.#lastId);
    const isErrorFirst = errorFirst || timeout !== undefined;
    /** @type {Settle} */
    const settle = (error, data) => {
      clearTimeout(timer);
      this.#expected.delete(id);
      this.#unanswered.delete(id);
      this.sendBuffer = without(this.sendBuffer, frame);
      if (isErrorFirst) listener.call(this, error, data);
      else if (!error) listener.call(this, data);
    };
    const late = () => settle(new Error("operation has timed out"));
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    this.#expected.set(id, settle);
  }

  /** @param {string} id */
  _opened(id) {
    this.id = id;
    this.connected = true;
    for (const sent of this.#unanswered.values()) this.#sendCommand(sent);
    for (const frame of this.sendBuffer.splice(0)) this.#send(frame);
    this._tell("connect");
  }

  /** @param {Frame} frame */
  #send(frame) {
    if (!COMMANDS.has(frame.event) || frame.id === undefined) return this.io._send(frame);
    const { rev, updatedAt } = this.#known;
    // Each one before it, once it has taken effect, will have made a new rev.
    const meantFor = rev === undefined ? rev : rev + this.#unanswered.size;
    this.#sendCommand({ frame, rev: meantFor, updatedAt, at: performance.now() });
  }

  /** @param {Sent} sent */
  #sendCommand(sent) {
    const { event, data, id } = sent.frame;
    this.#unanswered.set(id, sent);
    this.io._send({ event, data: { ifRev: sent.rev, ...data }, id });
  }

  /**
   * Send a command again that was refused, though nobody has acted since it was given.
   * @param {Sent} sent
   * @param {Record<string, any>} refusal
   */
  #insists(sent, { code, state }) {
    const isOurs = sent.rev !== undefined && sent.frame.data.ifRev === undefined;
    if (code !== "conflict" || !isOurs || sent.rev === state.rev) return false;
    if (sent.updatedAt === state.updatedAt) this.#sendCommand({ ...sent, rev: state.rev });
    else if (performance.now() - sent.at < FRESH) this.#sendCommand({ ...sent, rev: undefined });
    else return false;
    return true;
  }

  /** @param {Frame} frame */
  _heard({ event, data, id }) {
    const sent = this.#unanswered.get(id);
    this.#unanswered.delete(id);
    const state = data?.state ?? data;
    if (state?.rev !== undefined) this.#known = state;
    if (sent && event === "error" && this.#insists(sent, data)) return;
    for (const listener of this.#anyListeners) listener.call(this, event, data);
    this._tell(event, data);
    this.#expected.get(id)?.(null, event === "error" ? { error: data } : data);
  }

  /** @param {string} reason */
  _lost(reason) {
    this.connected = false;
    this.id = undefined;
    this._forget(false);
    this._tell("disconnect", reason);
  }

  /** @param {boolean} areCommands which of what was sent will not be answered any more */
  _forget(areCommands) {
    const error = new Error("socket has been disconnected");
    for (const [id, settle] of [...this.#expected]) {
      const isUnsent = this.sendBuffer.some((frame) => frame.id === id);
      if (!isUnsent && this.#unanswered.has(id) === areCommands) settle(error);
    }
    if (areCommands) this.#unanswered.clear();
  }
}

/** The line below a socket, which comes back by itself. */
export class Manager extends Emitter {
  _wanted = false;
  /** @type {Record<string, any>} */
  opts;
  #base;
  #socket;
  /** @type {Status} */
  #status = "closed";
  /** @type {WebSocket | null} the current line; what others say does not count any more */
  #line = null;
  /** Grows with every line and every end of one. */
  #turn = 0;
  #retries = 0;
  /** When the page has emitted last, in milliseconds of performance.now. */
  #usedAt = -Infinity;
  /** Whether an answer is due, by the time that #patience ends. */
  #isAsking = false;
  /** @type {Auth} what the line was authenticated with */
  #auth = {};
  /** @type {Frame[]} what came before the page was told of the connection */
  #early = [];
  /** @type {Record<string, any> | undefined} */
  #refusal;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #page = new AbortController();

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
    if (!this._wanted) this.#watchPage();
    this._wanted = true;
    if (this.#status === "closed") this.#connect();
    return this;
  }

  /** @param {Frame} frame */
  _send(frame) {
    this.#write(frame);
    const wasIdle = !this.#isInUse;
    this.#usedAt = performance.now();
    if (this.#isAsking) return;
    if (COMMANDS.has(frame.event)) this.#awaitAnswer();
    else if (wasIdle) this.#awaitNews();
  }

  get #isInUse() {
    return !globalThis.document?.hidden || performance.now() - this.#usedAt < USE_TIME;
  }

  /** @param {Frame} frame */
  #write(frame) {
    this.#line?.send(JSON.stringify(frame));
  }

  _close() {
    const wasOpen = this.#status === "open";
    this.#leave();
    if (wasOpen) this.#tellLost("io client disconnect");
  }

  async #connect() {
    this.#status = "opening";
    const turn = ++this.#turn;
    await null; // so that an `auth` function may already use what io() returns
    const auth = await this.#ask();
    if (turn !== this.#turn) return;
    this.#auth = auth;
    this.#refusal = undefined;
    const line = (this.#line = new WebSocket(this.#at("ws").replace(/^http/, "ws")));
    line.onopen = () => this.#introduce();
    line.onmessage = ({ data }) => line === this.#line && this.#receive(JSON.parse(data));
    line.onclose = ({ code, reason }) => line === this.#line && this.#closed(code, reason);
    const late = () => this.#failed(new Error("timeout"));
    this.#patience = setTimeout(late, this.opts.timeout ?? GREETING_TIME);
  }

  /** @returns {Promise<Auth>} */
  async #ask() {
    const { auth } = this.#socket;
    /** @type {Auth | undefined} */
    const given = typeof auth === "function" ? await new Promise((give) => auth(give)) : auth;
    const token = String(given?.token ?? this.opts.query.token ?? "").replace(/^Bearer /i, "");
    return { token, deviceId: given?.deviceId, deviceName: given?.deviceName };
  }

  #introduce() {
    this.#write({ event: "auth", data: this.#auth });
  }

  /** @param {Frame} frame */
  #receive(frame) {
    const { event, data, id } = frame;
    if (this.#status === "opening") {
      if (event === "error") this.#hearRefusal(data);
      else if (event === "authenticated") this.#greeted(data.deviceId);
      else this.#early.push(frame);
      return;
    }
    this.#awaitNews();
    const isOurs = event === "authenticated" || (event === "error" && data.event === "auth");
    if (isOurs && id === undefined) return;
    this.#socket._heard(frame);
    if (event === "tokenExpiring") this.#renew();
  }

  /** @param {string} deviceId */
  async #greeted(deviceId) {
    const turn = this.#turn;
    await this.#openStreams();
    if (turn !== this.#turn) return;
    this.#status = "open";
    this.#awaitNews();
    const retries = this.#retries;
    this.#retries = 0;
    this._tell("open");
    if (retries) this._tell("reconnect", retries);
    this.#socket._opened(deviceId);
    for (const frame of this.#early.splice(0)) if (turn === this.#turn) this.#receive(frame);
  }

  /** Whether this works is seen when `<audio>` asks; a ticket or a Bearer token will do as well. */
  async #openStreams() {
    const headers = { Authorization: `Bearer ${this.#auth.token}` };
    const signal = AbortSignal.timeout(ANSWER_TIME);
    const request = { method: "POST", credentials: /** @type {const} */ ("include") };
    await fetch(this.#at("session"), { ...request, headers, signal }).catch(() => {});
  }

  async #renew() {
    const turn = this.#turn;
    const auth = await this.#ask();
    if (turn !== this.#turn || auth.token === this.#auth.token) return;
    this.#auth = auth;
    this.#introduce();
    this.#openStreams();
  }

  #awaitNews() {
    clearTimeout(this.#patience);
    this.#isAsking = false;
    this.#patience = setTimeout(() => this.#probe(), this.#isInUse ? SILENCE : IDLE_SILENCE);
  }

  #awaitAnswer() {
    clearTimeout(this.#patience);
    this.#isAsking = true;
    this.#patience = setTimeout(() => this.#lost("ping timeout"), ANSWER_TIME);
  }

  /**
   * `auth` is the one question that changes nothing: `getCurrentState` would count as having been
   * told the state.
   */
  #probe() {
    this.#awaitAnswer();
    this.#introduce();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    const isDismissed = code === TOKEN_REFUSED || code === OTHER_USER;
    if (this.#status === "open") {
      this.#lost(isDismissed ? "io server disconnect" : "transport close");
    } else if (code === TOKEN_REFUSED) {
      this.#refused(this.#refusal?.message ?? reason);
    } else {
      this.#failed(new Error(reason || "websocket error"));
    }
  }

  /**
   * The server closes the line where it refuses a token; where it refuses a label it waits for
   * another `auth`, which is the program's to make.
   *
   * @param {{code: string, message: string}} refusal
   */
  #hearRefusal(refusal) {
    this.#refusal = refusal;
    if (refusal.code === "invalid_message") this.#refused(refusal.message);
  }

  /** @param {string} message */
  #refused(message) {
    this.#leave();
    const error = new Error(message);
    this.#socket._tell("connect_error", Object.assign(error, { data: this.#refusal }));
  }

  /** @param {string} reason */
  #lost(reason) {
    this.#drop("waiting");
    this.#tellLost(reason);
    this.#retryLater(reason === "ping timeout");
  }

  /** @param {Error} error */
  #failed(error) {
    this.#drop("waiting");
    this._tell("error", error);
    if (this.#retries) this._tell("reconnect_error", error);
    this.#socket._tell("connect_error", error);
    this.#retryLater();
  }

  /** @param {string} reason */
  #tellLost(reason) {
    this._tell("close", reason);
    this.#socket._lost(reason);
  }

  /** @param {boolean} [isDue] who has waited for an answer has waited long enough */
  #retryLater(isDue = false) {
    if (this.#status !== "waiting") return; // a listener has left
    const { reconnection = true, reconnectionAttempts = Infinity } = this.opts;
    if (!reconnection || this.#retries >= reconnectionAttempts) {
      this.#status = "closed";
      this.#retries = 0;
      this.#socket._forget(true);
      if (reconnection) this._tell("reconnect_failed");
      return;
    }
    const { reconnectionDelay = 1000, reconnectionDelayMax = 5000 } = this.opts;
    const longest = Math.min(reconnectionDelayMax, reconnectionDelay * 2 ** this.#retries++);
    const jitter = Math.random() * (this.opts.randomizationFactor ?? 0.5);
    this.#retry = setTimeout(() => this.#retryNow(), isDue ? 0 : longest * (1 - jitter));
  }

  #retryNow() {
    clearTimeout(this.#retry);
    const turn = this.#turn;
    this._tell("reconnect_attempt", this.#retries);
    if (turn === this.#turn) this.#connect();
  }

  #watchPage() {
    const { signal } = (this.#page = new AbortController());
    const wake = () => {
      if (globalThis.document?.hidden) return;
      if (this.#status === "waiting") this.#retryNow();
      else if (this.#status === "open") this.#probe();
    };
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal });
  }

  #leave() {
    this._wanted = false;
    this.#retries = 0;
    this.#page.abort();
    this.#drop("closed");
    this.#socket._forget(true);
  }

  /** @param {Status} status */
  #drop(status) {
    this.#turn++;
    this.#status = status;
    clearTimeout(this.#patience);
    clearTimeout(this.#retry);
    this.#isAsking = false;
    this.#early = [];
    this.#line?.close();
    this.#line = null;
  }

  /** @param {string} path */
  #at(path) {
    return this.#base.origin + this.#base.pathname + path;
  }
}

/**
 * @param {string | Record<string, any>} [url]
 * @param {Record<string, any>} [options]
 */
function io(url, options) {
  return new Manager(url, options).socket();
}

Object.assign(io, { io, connect: io, Manager, Socket });

/**
 * Without the first that is `item` or stands for it.
 * @template T
 * @param {(T & { of?: T })[]} list
 * @param {T} item
 */
function without(list, item) {
  const found = list.findIndex((each) => each === item || each.of === item);
  return list.filter((_, index) => index !== found);
}

/** What no other command has; `randomUUID` is there on secure pages alone. */
function newId() {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (number) => number.toString(36)).join("-");
}

/** @param {string} url as socket.io takes it: ws:, http:, a bare host with its port, or a path */
function baseOf(url) {
  const here = globalThis.location?.href;
  const scheme = here?.startsWith("http:") ? "http://" : "https://";
  const full = /^(\w+:\/)?\//.test(url) ? url.replace(/^ws/, "http") : scheme + url;
  const base = new URL(full, here);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}

export { io, io as connect };
export default io;
