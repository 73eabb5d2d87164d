// @ts-check
/**
 * `Socket`: events, acknowledgements, and commands that take effect once.
 *
 * A command whose answer was lost with its connection is sent again with the same `commandId`, by
 * which the server recognizes it if TCP delivers the first copy too. Every copy has the `ifRev` of
 * the state that it was meant for, so that a late one does not undo what was done since: the server
 * refuses it with `conflict`. One that is refused while it is FRESH has lost a race, and is sent
 * without `ifRev`. A restart of the server makes a new rev of the same state; `updatedAt` shows it.
 */

import { Emitter, without } from "./emitter.js";
import { randomId } from "./random-id.js";

/** Milliseconds in which a command that is refused was not held up on its way. */
const FRESH = 2_000;
/** Events of this side alone. */
const RESERVED = new Set(["connect", "connect_error", "disconnect", "disconnecting"]);
/** A player's position is of no use later, so a report is never buffered. */
const REPORT = "updateStreaming";
/** What changes the playback or the queue. The server answers it in any case. */
export const COMMANDS = new Set([
  ...["playTrack", "pauseTrack", "nextTrack", "previousTrack", "transferPlayback"],
  ...["setQueue", "setRepeat", "shuffleQueue"],
]);

/** @typedef {import("./emitter.js").Listener} Listener */
/** @typedef {{ event: string, data?: any, id?: number }} Frame */
/** @typedef {{ token?: string, [key: string]: any }} Auth */
/** @typedef {(error: Error | null, data?: any) => void} Settle */
/** @typedef {{ volatile?: boolean, timeout?: number, errorFirst?: boolean }} Flags */
/** @typedef {{ rev?: number, updatedAt?: number }} Version of the state */
/** @typedef {import("../../client.js").Authenticated} Authenticated */
/** @typedef {{ frame: Frame, at: number } & Version} Sent a command, and what it is meant for */

export class Socket extends Emitter {
  connected = false;
  /** @type {string | undefined} the `deviceId` that states carry; none while disconnected */
  id;
  recovered = false;
  /** @type {Authenticated | undefined} what the server has said of itself and of this connection */
  authenticated;
  /** @type {Auth | ((callback: (auth: Auth) => void) => void) | undefined} */
  auth;
  /** @type {Frame[]} */
  sendBuffer = [];
  /** @type {Map<number | undefined, Settle>} acknowledgements by the id of their frame */
  #acks = new Map();
  /** @type {Map<number | undefined, Sent>} commands that are not answered */
  #unanswered = new Map();
  /** @type {Version} */
  #version = {};
  /** @type {Listener[]} */
  #anyListeners = [];
  /** @type {Flags} */
  #flags = {};
  #lastId = 0;

  /** @param {import("./manager.js").Manager} manager */
  constructor(manager) {
    super();
    this.io = manager;
    this.auth = manager.opts.auth;
  }

  /** Whether it is connected, or will be by itself. */
  get active() {
    return this.io._isWanted;
  }

  get disconnected() {
    return !this.connected;
  }

  get responding() {
    return this.connected && this.io._isResponding;
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

  /** The next emit is dropped instead of buffered, and not sent again. */
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
    const isRepeatable = COMMANDS.has(event) && !flags.volatile;
    if (isRepeatable) frame.data = { commandId: randomId(), ...frame.data };
    if (isRepeatable || listener) frame.id = ++this.#lastId;
    if (listener) this.#addAck(frame, listener, flags);
    if (this.connected) this.#send(frame, isRepeatable);
    else if (!flags.volatile && event !== REPORT) this.sendBuffer.push(frame);
    return this;
  }

  /**
   * @param {string} event
   * @param {any[]} args
   * @returns {Promise<any>} the answer; rejected after the timeout, or if the connection is lost
   */
  emitWithAck(event, ...args) {
    this.#flags.errorFirst = true;
    return new Promise((resolve, reject) => {
      this.emit(event, ...args, (/** @type {Error | null} */ error, /** @type {any} */ data) =>
        error ? reject(error) : resolve(data),
      );
    });
  }

  /** @param {Listener} listener called for every event of the server, before others are */
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
  #addAck(frame, listener, { timeout = this.io.opts.ackTimeout, errorFirst }) {
    const isErrorFirst = errorFirst || timeout !== undefined;
    /** @type {Settle} */
    const settle = (error, data) => {
      clearTimeout(timer);
      this.#acks.delete(frame.id);
      this.#unanswered.delete(frame.id);
      this.sendBuffer = without(this.sendBuffer, frame);
      if (isErrorFirst) listener.call(this, error, data);
      else if (!error) listener.call(this, data);
    };
    const expire = () => settle(new Error("operation has timed out"));
    const timer = timeout === undefined ? undefined : setTimeout(expire, timeout);
    this.#acks.set(frame.id, settle);
  }

  /** @param {Authenticated} authenticated */
  _opened(authenticated) {
    this.id = authenticated.deviceId;
    this.authenticated = authenticated;
    this.connected = true;
    for (const sent of this.#unanswered.values()) this.#sendCommand(sent);
    for (const frame of this.sendBuffer.splice(0)) this.#send(frame, COMMANDS.has(frame.event));
    this._dispatch("connect");
  }

  /**
   * @param {Frame} frame
   * @param {boolean} isRepeatable whether to send it again if its answer is lost
   */
  #send(frame, isRepeatable) {
    if (!isRepeatable) return this.io._send(frame);
    const { rev, updatedAt } = this.#version;
    // Each unanswered command will have made a new rev by then.
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
   * Send a command again that was refused although nobody has acted since it was emitted.
   * @param {Sent} sent
   * @param {Record<string, any>} refusal
   * @returns {boolean} whether it was sent
   */
  #retryRefused(sent, { code, state }) {
    const isOwnRev = sent.rev !== undefined && sent.frame.data.ifRev === undefined;
    if (code !== "conflict" || !isOwnRev || sent.rev === state.rev) return false;
    if (sent.updatedAt === state.updatedAt) this.#sendCommand({ ...sent, rev: state.rev });
    else if (performance.now() - sent.at < FRESH) this.#sendCommand({ ...sent, rev: undefined });
    else return false;
    return true;
  }

  /** @param {Frame} frame */
  _receive({ event, data, id }) {
    const sent = this.#unanswered.get(id);
    this.#unanswered.delete(id);
    const state = data?.state ?? data;
    if (state?.rev !== undefined) this.#version = state;
    if (sent && event === "error" && this.#retryRefused(sent, data)) return;
    for (const listener of this.#anyListeners) listener.call(this, event, data);
    this._dispatch(event, data);
    this.#acks.get(id)?.(null, event === "error" ? { error: data } : data);
  }

  /**
   * @param {string} reason
   * @param {{ description: string, context: CloseEvent }} [details]
   */
  _disconnected(reason, details) {
    this.connected = false;
    this.id = undefined;
    this._rejectAcks(false);
    this._dispatch("disconnect", reason, details);
  }

  /** @param {boolean} ofCommands whether to give up commands too, which will not be sent again */
  _rejectAcks(ofCommands) {
    const error = new Error("socket has been disconnected");
    for (const [id, settle] of [...this.#acks]) {
      const isUnsent = this.sendBuffer.some((frame) => frame.id === id);
      if (!isUnsent && this.#unanswered.has(id) === ofCommands) settle(error);
    }
    if (ofCommands) this.#unanswered.clear();
  }
}
