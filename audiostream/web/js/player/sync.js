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

import { NO_STATE, commandOf, isSame, matches, reportOf } from "./state.js";

/** Seconds in which a device that plays reports; browsers do so four times a second. */
const REPORT_AGE = 1;
const TRACK_NOT_FOUND = "track_not_found";
const REPORT = "updateStreaming";
const QUESTION = "getCurrentState";
const STATES = new Set(["trackPlaying", "trackPaused", "trackUpdated", "trackState"]);

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
 * @property {() => void} onTrackRefused the track that was to follow is not there
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
  #ownId;
  #connection;
  #hooks;
  /** @type {Pending | null} until it is answered, broadcasts are outdated */
  #pending = null;
  /** @type {Action | null} the user's last one without a connection, or whose answer was lost */
  #unsent = null;
  #isResyncing = true;

  /**
   * @param {string} ownId this tab's
   * @param {Connection} connection
   * @param {Hooks} hooks
   */
  constructor(ownId, connection, hooks) {
    this.#ownId = ownId;
    this.#connection = connection;
    this.#hooks = hooks;
  }

  /** Whether another device is the active one. */
  get isFollowing() {
    return !this.#isOwn(this.state);
  }

  /** Whether the current track plays on another device, as far as the server has sent. */
  get isPlayedElsewhere() {
    return this.devices.some(
      ({ deviceId, trackId, isPlaying, reportAge }) =>
        deviceId !== this.#ownId &&
        isPlaying &&
        trackId === this.state.trackId &&
        (reportAge ?? Infinity) < REPORT_AGE,
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
  }

  disconnected() {
    this.#isResyncing = true;
    this.#unsent = this.#pending?.action ?? this.#unsent;
    this.#pending = null;
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
    if (event === "devices") this.devices = data.devices;
    else if (event === "error") this.#receiveError(data);
    else if (STATES.has(event) && !this.#pending) this.#receiveState(data, null);
  }

  /**
   * Apply an action here at once, and send it.
   * @param {Omit<State, "rev" | "deviceId" | "at">} target
   * @param {Omit<Action, "rev" | "before">} action
   * @param {number} [ifRev] the rev without which the server shall refuse; else the current one
   */
  act(target, action, ifRev) {
    const before = (this.#unsent ?? this.#pending?.action)?.before ?? this.#hooks.audioPlace();
    const rev = ifRev ?? this.#expectedRev;
    const own = { deviceId: this.#ownId, at: this.#hooks.now() };
    this.state = { ...target, ...own, rev: this.state.rev };
    this.#command({ ...action, before, rev }, target.currentTime);
  }

  /** @param {number} position seconds where the audio plays */
  report(position) {
    const { trackId, playbackRate } = this.state;
    if (this.#isResyncing || trackId === null || !this.#connection.isResponding) return;
    this.#connection.send(REPORT, reportOf({ trackId, position, playbackRate }));
  }

  /** The rev once what is pending has taken effect, if nobody else acts. */
  get #expectedRev() {
    const rev = this.#pending?.action?.rev ?? NO_STATE.rev;
    return rev === NO_STATE.rev ? this.state.rev : rev + 1;
  }

  /**
   * @param {Action} action
   * @param {number} position seconds
   */
  #command(action, position) {
    if (this.#connection.isConnected) {
      this.#isResyncing = false;
      const { event } = action;
      this.#ask({ event, action }, commandOf(action, this.state.trackId ?? "", position));
    } else {
      this.#unsent = { ...action, rev: this.state.rev };
    }
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
    const state = /** @type {State} */ ({ ...data, at: this.#hooks.now() });
    if (this.#isResyncing) {
      this.#isResyncing = false;
      this.#resync(state, data.track);
    } else if (answered?.event === QUESTION) {
      this.#follow(state, data.track);
    } else if (answered && isSame(state, this.state)) {
      // Our own action: the audio has gone on while it was on its way.
      const { currentTime, at } = this.state;
      this.state = { ...state, currentTime, at };
      this.#hooks.onChanged();
    } else {
      this.#apply(state, data.track);
    }
  }

  /**
   * Apply the first state of a connection. What the user did while there was none counts if nobody
   * has acted since; that is seen by the rev, or as the state is where the audio was before.
   * @param {State} state
   * @param {Track} [track]
   */
  #resync(state, track) {
    const unsent = this.#unsent;
    this.#unsent = null;
    const place = this.#hooks.audioPlace();
    if (!unsent && place && matches(state, place)) return this.#keep(state);
    if (!unsent) return this.#apply(state, track);
    const isUntouched = [this.state.rev, unsent.rev].includes(state.rev);
    const isRevived = unsent.before !== undefined && matches(state, unsent.before);
    if (isUntouched || isRevived || state.trackId === null || unsent.rev === NO_STATE.rev) {
      this.#override(unsent, state.rev);
    } else if (state.rev === unsent.rev + 1 && isSame(state, this.state)) {
      // It may have taken effect, and its answer was lost: the server recognizes its id.
      this.#override({ ...unsent, isAutomatic: true }, unsent.rev);
    } else {
      this.#follow(state, track);
    }
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
    const action = { event, commandId, isAutomatic: true, isTrackChange: false, before };
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
    this.#command({ ...action, rev }, currentTime);
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
    if (action && code === "conflict" && !action.isAutomatic && this.#isRepeatable(state)) {
      // A user's action counts whatever others have done, unless an outage has delayed it.
      this.state = { ...this.state, rev: state.rev };
      return this.#command({ ...action, rev: state.rev }, this.state.currentTime);
    }
    if (code === TRACK_NOT_FOUND) this.#hooks.onTrackNotFound(message);
    else if (code !== "conflict") this.#hooks.onProblem(`The server says: ${message}.`);
    if (!refused) return undefined;
    // The library here was an older one: what follows in it may still be there.
    const isSkipped = action?.event === "playTrack" && action.isTrackChange;
    if (code === TRACK_NOT_FOUND && isSkipped) return this.#hooks.onTrackRefused();
    return this.#ask({ event: QUESTION });
  }

  /**
   * Whether an action that was refused for a newer state still makes sense.
   * @param {State} state
   */
  #isRepeatable({ trackId }) {
    return this.state.isPlaying || trackId === this.state.trackId;
  }
}
