// @ts-check
/**
 * The conversation with the server: which of its states are applied here, and what is sent.
 *
 *     user action ──► state ──► command           broadcast ──► state, unless an answer is pending
 *                                  └──► answer ─────────────────► state
 *     connected ──► report, or question ──► answer ──► resync: unsent action, own audio, or theirs
 *
 * Every command names the rev that it is meant for: the server refuses what an outage has delayed.
 * While the rev is the same nobody has acted, and where this tab is the active device its audio is
 * right: a state of that rev does not move it, but is corrected.
 */

import { ServerQueue } from "./server-queue.js";
import { NO_STATE, commandOf, isSame, matches, reportOf, reportsPlaying } from "./state.js";
import { beforeEnd, isRepeatable, revived, unsentOf } from "./unsent.js";

const TRACK_NOT_FOUND = "track_not_found";
const REPORT = "updateStreaming";
const QUESTION = "getCurrentState";
const STATES = new Set(["trackPlaying", "trackPaused", "trackUpdated", "trackState"]);
const QUEUES = new Set(["queue", "queueUpdated"]);

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Action} Action */
/** @typedef {import("./state.js").AudioPlace} AudioPlace */
/** @typedef {import("./state.js").Track} Track */
/** @typedef {import("../../client.js").Devices["devices"][number]} Device */
/** @typedef {import("./ports.js").Connection} Connection */
/** @typedef {import("./ports.js").Data} Data */

/**
 * @typedef {object} Hooks
 * @property {() => AudioPlace | undefined} audioPlace where the audio plays, or will play as soon
 *     as the network lets it
 * @property {() => number} position seconds, as the user sees it
 * @property {(before: State, track?: Track) => void} onState the server's state is to be followed
 * @property {() => void} onChanged the state has changed, and the audio stays as it is
 * @property {(message: string) => void} onTrackNotFound
 * @property {(text: string) => void} onProblem
 * @property {() => number} now milliseconds of a monotonic clock
 * @property {() => string} newId of a command
 */

/**
 * What the server has not answered yet.
 * @typedef {object} Pending
 * @property {string} event
 * @property {Action} [action] none where it is a question or a report
 */

export class Sync {
  /** @type {State} */
  state = NO_STATE;
  /** @type {Device[]} all that are connected, as far as the server has sent them */
  devices = [];
  queue;
  #ownId;
  #connection;
  #hooks;
  /** @type {Pending | null} until it is answered, broadcasts are outdated */
  #pending = null;
  /** @type {Action | null} the user's last one without a connection, or whose answer was lost */
  #unsent = null;
  #isResyncing = true;
  /** The rev once all that was sent has taken effect, if nobody else acts. */
  #nextRev = NO_STATE.rev;

  /**
   * @param {string} ownId this tab's
   * @param {Connection} connection
   * @param {Hooks} hooks
   */
  constructor(ownId, connection, hooks) {
    this.#ownId = ownId;
    this.#connection = connection;
    this.#hooks = hooks;
    this.queue = new ServerQueue(this, connection, hooks);
  }

  /** Whether another device is the active one. */
  get isFollowing() {
    return !this.#isOwn(this.state);
  }

  /** The row of the active device, null where none is, or it is not connected. */
  get activeDevice() {
    return this.devices.find(({ deviceId }) => deviceId === this.state.deviceId) ?? null;
  }

  /** Whether the active device is another one that has left. */
  get isAbandoned() {
    return this.isFollowing && this.devices.length > 0 && !this.activeDevice;
  }

  /** Whether the current track plays on another device, as far as the server has sent. */
  get isPlayedElsewhere() {
    return this.devices.some(
      (device) => device.deviceId !== this.#ownId && reportsPlaying(device, this.state.trackId),
    );
  }

  /**
   * The connection is open. A tab that has played on reports before it asks for anything: the
   * server knows whether its playback only stood still meanwhile, or somebody has acted since.
   */
  connected() {
    const place = this.#unsent ? this.#unsent.before : this.#hooks.audioPlace();
    if (place) this.#ask({ event: REPORT }, reportOf(place));
    else this.#connection.send(QUESTION);
    this.queue.ask();
  }

  disconnected() {
    this.#isResyncing = true;
    const action = this.#pending?.action;
    if (action) this.#unsent = unsentOf(action, this.state, this.#unsent);
    this.#pending = null;
    this.queue.disconnected();
  }

  /** Ask for the state: until it comes, no broadcast counts. */
  refresh() {
    if (this.#connection.isConnected) this.#ask({ event: QUESTION });
  }

  /**
   * Handle an event of the server. Answers come here too, before they come as such.
   * @param {string} event
   * @param {Data} data
   */
  receive(event, data) {
    if (event === "devices") this.#receiveDevices(data.devices);
    else if (QUEUES.has(event)) this.#receiveQueue(data);
    else if (event === "error") this.#receiveError(data);
    else if (STATES.has(event) && !this.#pending) this.#receiveState(data, null);
  }

  /**
   * Apply an action here at once, and send it.
   * @param {Omit<State, "rev" | "deviceId" | "at">} target
   * @param {Omit<Action, "rev" | "before" | "from" | "commandId">} action
   */
  act(target, action) {
    const earlier = this.#unsent ?? this.#pending?.action;
    const before = earlier?.before ?? beforeEnd(action) ?? this.#hooks.audioPlace();
    const rev = this.expectedRev;
    const from = this.state.trackId;
    const own = { deviceId: action.deviceId ?? this.#ownId, at: this.#hooks.now() };
    this.state = { ...target, ...own, rev: this.state.rev };
    this.#command({ ...action, commandId: this.#hooks.newId(), from, before, rev });
  }

  /**
   * Send a command whose effect is not known before its answer.
   * @param {string} event
   * @param {Data} data
   */
  request(event, data) {
    this.#ask({ event }, { ...data, commandId: this.#hooks.newId() });
  }

  /** @param {number} position seconds where the audio plays */
  report(position) {
    const { trackId, playbackRate } = this.state;
    if (this.#isResyncing || trackId === null || !this.#connection.isResponding) return;
    this.#connection.send(REPORT, reportOf({ trackId, position, playbackRate }));
  }

  /** @param {Device[]} devices */
  #receiveDevices(devices) {
    const wasAbandoned = this.isAbandoned;
    this.devices = devices;
    this.#hooks.onChanged();
    if (this.isAbandoned && !wasAbandoned && !this.#pending) this.refresh(); // its position stands still
  }

  /** @param {Data} data */
  #receiveQueue(data) {
    if (!this.#isResyncing) this.state = { ...this.state, rev: Math.max(data.rev, this.state.rev) };
    // An action that brings a list may be sent once more: with its own list, not with this one.
    if (!(this.#unsent ?? this.#pending?.action)?.setsQueue) this.queue.receive(data);
  }

  /** The rev that the server has reached, if nobody else acts, when it gets what is sent now. */
  get expectedRev() {
    const isAhead = this.#pending?.action || this.queue.isPending;
    return isAhead && this.#nextRev !== NO_STATE.rev ? this.#nextRev : this.state.rev;
  }

  /** @param {number} rev for which a change is sent now */
  sentFor(rev) {
    this.#nextRev = rev === NO_STATE.rev ? rev : rev + 1;
  }

  /** @param {Action} action */
  #command(action) {
    if (!this.#connection.isConnected) {
      this.#unsent = unsentOf({ ...action, rev: this.state.rev }, this.state, this.#unsent);
      return;
    }
    this.#isResyncing = false;
    this.sentFor(action.rev);
    const data = commandOf(action, this.state, this.queue.trackIds ?? []);
    this.#ask({ event: action.event, action }, data);
  }

  /**
   * @param {Pending} pending
   * @param {object} [data]
   */
  #ask(pending, data) {
    this.#pending = pending;
    this.#connection.send(pending.event, data, (answer) => {
      const isPending = pending === this.#pending;
      if (isPending) this.#pending = null;
      if (answer.error) this.#refused(answer.error, isPending ? pending : null);
      else if (isPending) this.#receiveState(answer, pending);
    });
  }

  /**
   * @param {Data} data
   * @param {Pending | null} answered null for a broadcast
   */
  #receiveState(data, answered) {
    const state = this.#stateOf(data);
    const isSameDevice = [null, this.state.deviceId].includes(state.deviceId);
    const isTransfer = answered?.event === "transferPlayback"; // the other device knew better where
    if (this.#isResyncing) {
      this.#isResyncing = false;
      this.#resync(state, data.track);
    } else if (answered?.event === QUESTION) {
      this.#follow(state, data.track);
    } else if (answered?.action && !isTransfer && isSameDevice && isSame(state, this.state)) {
      // Our own action: the audio has gone on while it was on its way.
      const { currentTime, at } = this.state;
      this.state = { ...state, currentTime, at };
      this.#hooks.onChanged();
    } else {
      this.#apply(state, data.track);
    }
  }

  /**
   * @param {Data} data
   * @returns {State} with the next track, which the server sends only with some events
   */
  #stateOf(data) {
    const { trackId, queue, nextTrack } = this.state;
    const isSamePlace = data.trackId === trackId && data.queue?.index === queue?.index;
    const known = isSamePlace && nextTrack !== undefined ? { nextTrack } : {};
    return /** @type {State} */ ({ queue, ...known, ...data, at: this.#hooks.now() });
  }

  /**
   * Apply the first state of a connection.
   * @param {State} state
   * @param {Track} [track]
   */
  #resync(state, track) {
    const unsent = this.#unsent;
    this.#unsent = null;
    const place = this.#hooks.audioPlace();
    if (!unsent && place && matches(state, place)) return this.#keep(state);
    if (!unsent) return this.#apply(state, track);
    const action = revived(unsent, state, this.state);
    if (action) this.#override(action, action.rev);
    else this.#follow(state, track);
  }

  /**
   * Apply a state of the server. It does not move audio that is right.
   * @param {State} state
   * @param {Track} [track]
   */
  #apply(state, track) {
    const before = this.#hooks.audioPlace();
    const isKnown = state.rev === this.state.rev && isSame(state, this.state);
    const isRight = before && isKnown && this.#isOwn(state) && !this.isPlayedElsewhere;
    if (!isRight) return this.#follow(state, track);
    if (matches(state, before)) return this.#keep(state);
    const commandId = this.#hooks.newId();
    const event = /** @type {const} */ ("playTrack");
    const action = { event, commandId, isAutomatic: true, from: state.trackId, before };
    return this.#override(action, state.rev);
  }

  /**
   * @param {State} state
   * @param {Track} [track]
   */
  #follow(state, track) {
    const before = this.state;
    this.state = state;
    this.#hooks.onState(before, track);
  }

  /** @param {State} state where the audio is already */
  #keep(state) {
    this.state = { ...state, currentTime: this.#hooks.position() };
    this.#hooks.onChanged();
  }

  /**
   * Have the server and all devices follow the audio here.
   * @param {Omit<Action, "rev">} action
   * @param {number} rev of the server's state
   */
  #override(action, rev) {
    const currentTime = this.#hooks.position();
    this.state = { ...this.state, rev, currentTime, at: this.#hooks.now() };
    this.#command({ ...action, rev });
    this.#hooks.onChanged();
  }

  /** @param {State} state */
  #isOwn({ deviceId }) {
    return deviceId === null || deviceId === this.#ownId;
  }

  /**
   * Handle an error that answers nothing: one of a report, or of a frame that cannot be read.
   * @param {Data} error
   */
  #receiveError({ code, message, event }) {
    const isReport = event === REPORT && this.#pending?.event !== REPORT;
    // A track that has left the library plays on from what the browser has loaded.
    const isNotice = (isReport && code !== TRACK_NOT_FOUND) || event === null;
    if (isNotice) this.#hooks.onProblem(`The server says: ${message}.`);
  }

  /**
   * @param {Data} error
   * @param {Pending | null} refused null where something newer is pending
   */
  #refused({ code, message, state }, refused) {
    const action = refused?.action;
    if (action && code === "conflict" && isRepeatable(action, state, this.state)) {
      // A user's action counts whatever others have done, unless an outage has delayed it.
      this.state = { ...this.state, rev: state.rev };
      return this.#command({ ...action, rev: state.rev });
    }
    if (code === TRACK_NOT_FOUND) this.#hooks.onTrackNotFound(message);
    else if (code !== "conflict") this.#hooks.onProblem(`The server says: ${message}.`);
    if (!refused) return undefined;
    this.#ask({ event: QUESTION });
    return this.queue.ask();
  }
}
