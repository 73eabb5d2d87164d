// @ts-check
/** The player of this page: its state machine with the audio element, the socket and the API. */

import { ApiError } from "./api.js";
import { AudioOutput } from "./audio-output.js";
import { randomId } from "./client/random-id.js";
import { PlayerMachine } from "./player/machine.js";

const NOT_FOUND = 404;
const CONFLICT = 409;
/** Tracks in a queue, the server's AUDIOSTREAM_MAX_QUEUE as it is shipped. */
const MAX_QUEUE = 1_000;

/** @typedef {import("../client.js").Socket} Socket */
/** @typedef {import("./api.js").Api} Api */

/**
 * @typedef {object} Hooks
 * @property {() => void} onChanged anything that can be read here may have changed
 * @property {(text: string) => void} onProblem something that the user should know
 * @property {(text: string) => void} onRecovered this problem is over
 * @property {(text: string, undo?: () => void) => void} onDone what the user should know was done
 * @property {(error: ApiError) => void} onRequestFailed
 */

/** @typedef {"active" | "always"} Sounds whether the page sounds as the active device alone */

export class Player extends PlayerMachine {
  #audio;

  /**
   * @param {HTMLAudioElement} element
   * @param {Socket} socket
   * @param {Api} api
   * @param {string} ownId this tab's
   * @param {Hooks} hooks
   * @param {Sounds} [sounds]
   */
  constructor(element, socket, api, ownId, hooks, sounds) {
    const loadTrack = (/** @type {string} */ id) => load(id, socket, api, hooks);
    const audio = new AudioOutput(element, {
      loadTrack,
      onChanged: hooks.onChanged,
      onPlaying: (position) => this.played(position),
      onToggled: (isPlaying, position) => this.audioToggled(isPlaying, position),
      onEnded: (position) => this.ended(position),
      onUnplayable: (position, isMissing) => this.unplayable(position, isMissing),
    });
    /** @type {import("./player/ports.js").Ports} */
    const ports = {
      ...hooks,
      audio,
      connection: connectionOf(socket),
      now: () => performance.now(),
      newId: randomId,
      schedule: (callback, delay) => {
        const timer = setTimeout(callback, delay);
        return () => clearTimeout(timer);
      },
      loadTrack,
      loadPositions: (id) => api.positions(id).catch(() => []), // an offer less
      updateState: (id, change) => updateState(api, id, change),
      onTrackNotFound: (message) => hooks.onRequestFailed(new ApiError(NOT_FOUND, message)),
    };
    super(ownId, ports, sounds);
    this.#audio = audio;
    socket.on("connect", () => {
      audio.retryNow();
      this.sync.connected();
    });
    socket.on("disconnect", () => this.sync.disconnected());
    socket.onAny((event, data) => this.sync.receive(event, data));
  }

  /** Whether the browser blocks audio until a user gesture. */
  get isBlocked() {
    return this.#audio.isBlocked;
  }

  /** Whether the audio should play here, and the server sends none. */
  get isStalled() {
    return this.#audio.isStalled;
  }

  /**
   * Play. Where the browser blocks the audio it plays already elsewhere, and is let play here.
   * @override
   */
  play() {
    if (this.isBlocked) this.unblock();
    else super.play();
  }

  /**
   * Play, or pause what can be heard here or elsewhere.
   * @override
   */
  toggle() {
    if (this.isBlocked) this.unblock();
    else super.toggle();
  }

  /** Let the browser play audio; call it in the handler of a user gesture. */
  unblock() {
    this.#audio.unblock();
    this.sync.refresh();
  }

  /** Stop the audio here. The playback goes on wherever else it does. */
  stop() {
    this.#audio.stop();
  }
}

/**
 * @param {Socket} socket
 * @returns {import("./player/ports.js").Connection}
 */
function connectionOf(socket) {
  return {
    get isConnected() {
      return socket.connected;
    },
    get isResponding() {
      return socket.responding;
    },
    get maxQueue() {
      return socket.authenticated?.maxQueue ?? MAX_QUEUE;
    },
    send: (event, data, onAnswer) => {
      const frame = /** @type {[any, any]} */ ([event, data]);
      if (onAnswer) socket.volatile.emit(...frame, onAnswer);
      else socket.volatile.emit(...frame);
    },
  };
}

/**
 * @param {Api} api
 * @param {string} id of the track
 * @param {object} change
 * @returns {Promise<boolean>} false where the change is of an outdated state
 * @throws {ApiError}
 */
async function updateState(api, id, change) {
  try {
    await api.post(`tracks/update-state/${encodeURIComponent(id)}`, change);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === CONFLICT) return false;
    throw error;
  }
}

/**
 * @param {string} id
 * @param {Socket} socket
 * @param {Api} api
 * @param {Hooks} hooks
 * @returns {Promise<import("../client.js").Track | null | undefined>} null if there is no such
 *     track, undefined if that is unknown now
 */
async function load(id, socket, api, hooks) {
  try {
    const track = await api.track(id);
    socket.io.retry(); // the server answers
    return track;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 0) hooks.onRequestFailed(error);
    return error.status === NOT_FOUND ? null : undefined;
  }
}
