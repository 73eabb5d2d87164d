// @ts-check
/**
 * The user's playback as this page knows it: what the server tells, and what a person does here.
 *
 * Here: a person's acts become commands and take effect here at once; what the server tells moves
 * the sound; playing is reported; the end of one track starts the next; an interruption of the
 * line is made good. Not here: the audio element (sound.js), frames (connection.js), anything a
 * person sees.
 *
 *     person ──► act ──► sound              server ──► told ──► sound
 *                 └────► command                sound ──► report ──► server
 */

import { RequestFailed } from "./catalogue.js";
import { Sound } from "./sound.js";

/** Seconds into a track after which "previous" means its beginning. */
const RESTART_AFTER = 3;
/** Seconds before the duration from which a track is over. */
const OVER = 0.1;
/** Seconds that two players may be apart and still agree; the server's default. */
const TOLERANCE = 1;
/**
 * Milliseconds that a tab which does not lead waits at the end of a track before it starts the
 * next one itself: whoever led may be gone.
 */
const SUCCESSION = 4_000;

const STATES = new Set(["trackPlaying", "trackPaused", "trackUpdated", "trackState"]);

/** @typedef {import("./catalogue.js").Track} Track */
/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./connection.js").Data} Data */

/**
 * The playback at the moment `at` (performance.now). `deviceId` is that of the device that leads.
 * @typedef {object} State
 * @property {string | null} trackId
 * @property {number} currentTime seconds
 * @property {boolean} isPlaying
 * @property {number} playbackRate
 * @property {number} [duration] seconds
 * @property {number} rev
 * @property {string | null} deviceId
 * @property {number} at
 */

/**
 * A command, and the rev that it was meant for.
 * @typedef {object} Act
 * @property {string} event playTrack or pauseTrack
 * @property {number} rev
 */

/**
 * @typedef {object} Hooks
 * @property {() => void} onChanged anything that can be read here may have changed
 * @property {(problem: string) => void} onProblem something a person should know
 * @property {(error: RequestFailed) => void} onRequestFailed
 */

/** @type {State} */
const NOTHING = {
  trackId: null,
  currentTime: 0,
  isPlaying: false,
  playbackRate: 1,
  rev: 0,
  deviceId: null,
  at: 0,
};

export class Playback {
  /** @type {Track | null} */
  track = null;
  /** @type {State} */
  #state = NOTHING;
  /** @type {Track[]} */
  #library = [];
  #connection;
  #catalogue;
  #deviceId;
  #hooks;
  #sound;
  /** Our latest command while it is unanswered: it will overrule what we hear before. */
  /** @type {Act & { id: number } | null} */
  #awaited = null;
  /** What a person last did while the line was down. */
  /** @type {Act | null} */
  #unsent = null;
  #isRejoining = true;
  #lostAt = performance.now();
  /** @type {number | undefined} */
  #succession;

  /**
   * @param {HTMLAudioElement} audio
   * @param {Connection} connection
   * @param {import("./catalogue.js").Catalogue} catalogue
   * @param {string} deviceId
   * @param {Hooks} hooks
   */
  constructor(audio, connection, catalogue, deviceId, hooks) {
    this.#connection = connection;
    this.#catalogue = catalogue;
    this.#deviceId = deviceId;
    this.#hooks = hooks;
    this.#sound = new Sound(audio, {
      onReport: (position) => this.#report(position),
      onPlayed: (position) => this.#act("playTrack", position),
      onPaused: (position) => this.#act("pauseTrack", position),
      onEnded: () => this.#ended(),
      onChanged: hooks.onChanged,
      renew: (id) => this.#fetch(id),
      onUnplayable: () => hooks.onProblem(`This browser cannot play “${this.track?.title}”.`),
    });
  }

  get isPlaying() {
    return this.#state.isPlaying && !this.#isOver;
  }

  get canPlay() {
    return this.track !== null || this.#library.length > 0;
  }

  /** Whether the browser wants to be touched before this tab can be heard. */
  get isBlocked() {
    return this.#sound.isBlocked;
  }

  /** Whether the playback is led by another tab or device. */
  get isFollowing() {
    return this.#state.deviceId !== null && this.#state.deviceId !== this.#deviceId;
  }

  /** Seconds. */
  get position() {
    return this.#sound.isReady ? this.#sound.position : this.#toldPosition;
  }

  /** Seconds, undefined while unknown. */
  get duration() {
    return this.#sound.duration ?? this.#state.duration ?? this.track?.duration;
  }

  /** How fast it plays; 1 is as recorded. */
  get rate() {
    return this.#state.playbackRate;
  }

  /** The track after the current one, in the order of the library. */
  get following() {
    return this.#neighbour(1);
  }

  /** @param {Track[]} tracks the whole library: its order is that of "previous" and "next" */
  setLibrary(tracks) {
    this.#library = tracks;
    this.#hooks.onChanged();
  }

  /**
   * @param {string | null} id
   * @returns {string} empty for a track that is not in the library
   */
  titleOf(id) {
    return this.#library.find((track) => track.id === id)?.title ?? "";
  }

  /** @param {Track} track */
  choose(track) {
    if (track.id === this.track?.id) this.toggle();
    else this.#start(track);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    const track = this.track ?? this.#library[0];
    if (!track) return;
    if (this.track) this.#act("playTrack", this.#isOver ? 0 : this.position);
    else this.#start(track);
  }

  pause() {
    if (this.track) this.#act("pauseTrack", this.position);
  }

  /** @param {number} position seconds */
  seek(position) {
    if (!this.track) return;
    const within = Math.max(0, Math.min(position, this.duration ?? Infinity));
    this.#act(this.isPlaying ? "playTrack" : "pauseTrack", within);
  }

  next() {
    if (this.following) this.#start(this.following);
  }

  previous() {
    if (!this.track) return;
    const before = this.#neighbour(-1);
    if (before && this.position <= RESTART_AFTER) this.#start(before);
    else this.#act("playTrack", 0);
  }

  /** Let this tab be heard; call it while a person's touch is being handled. */
  listen() {
    this.#sound.listen();
    this.#connection.tell("getCurrentState");
  }

  /** Fall silent for good. The playback itself goes on wherever else it does. */
  stop() {
    clearTimeout(this.#succession);
    this.#sound.stop();
  }

  /** The line was lost. */
  lost() {
    if (!this.#isRejoining) this.#lostAt = performance.now();
    this.#isRejoining = true;
    this.#unsent = this.#awaited ?? this.#unsent;
    this.#awaited = null;
  }

  /**
   * Hear what the server says.
   * @param {string} event
   * @param {Data} data
   * @param {number | string} [id]
   */
  hear(event, data, id) {
    if (event === "authenticated") this.#connection.tell("getCurrentState");
    else if (event === "error") this.#refused(data, id);
    else if (STATES.has(event)) this.#told(data, id);
  }

  /**
   * @param {Data} data
   * @param {number | string} [id]
   */
  #told(data, id) {
    const isAnswer = this.#awaited !== null && id === this.#awaited.id;
    if (this.#awaited && !isAnswer) return;
    this.#awaited = null;
    const state = /** @type {State} */ ({ ...data, at: performance.now() });
    if (this.#isRejoining) {
      this.#isRejoining = false;
      this.#rejoin(state, data.track);
    } else if (isAnswer && isSame(state, this.#state)) {
      // Our own act, on its way to the server and back: the sound has gone on meanwhile.
      const { currentTime, at } = this.#state;
      this.#state = { ...state, currentTime, at };
      this.#hooks.onChanged();
    } else {
      this.#follow(state, data.track);
    }
  }

  /**
   * Back on the line: whose word counts? What a person did here meanwhile, if nobody did anything
   * elsewhere; and a player that played on is not sent back to where the line broke.
   * @param {State} state
   * @param {Track} [track]
   */
  #rejoin(state, track) {
    const before = this.#state;
    const isOurs = state.trackId === null || state.deviceId === this.#deviceId;
    const unsent = this.#unsent;
    this.#unsent = null;
    if (unsent && (isOurs || unsent.rev === 0 || unsent.rev === state.rev)) {
      this.#state = { ...before, rev: state.rev };
      this.#command(unsent.event, this.position);
    } else if (!this.#sound.isSounding) {
      this.#follow(state, track);
    } else if (state.trackId === null) {
      // The server knows nothing any more. What we report tells it.
      this.#state = { ...before, rev: state.rev };
    } else if (isOurs && !state.isPlaying && state.trackId === before.trackId) {
      this.#act("playTrack", this.position);
    } else if (isSame(state, before) && this.#hasPlayedOn(state)) {
      this.#state = { ...state, currentTime: this.position };
      this.#hooks.onChanged();
    } else {
      this.#follow(state, track);
    }
  }

  /** @param {State} state */
  #hasPlayedOn({ currentTime }) {
    const away = (performance.now() - this.#lostAt) / 1000;
    const ahead = this.position - currentTime;
    return ahead >= 0 && ahead <= away + TOLERANCE;
  }

  /**
   * @param {State} state
   * @param {Track} [told] comes with some events
   */
  async #follow(state, told) {
    clearTimeout(this.#succession);
    const before = this.#state;
    this.#state = state;
    if (state.trackId === null) return this.#hooks.onChanged();
    const track = await this.#known(state.trackId, told);
    if (state !== this.#state) return; // something newer came while the track was fetched
    this.track = track;
    this.#hooks.onChanged();
    if (!track) return;
    this.#moveSound();
    const wasPlaying = before.isPlaying && before.trackId === state.trackId;
    if (wasPlaying && hasEnded(state) && !this.isFollowing) this.#advance();
  }

  /**
   * @param {string} id
   * @param {Track} [told]
   * @returns {Promise<Track | null> | Track}
   */
  #known(id, told) {
    if (told) return told;
    if (this.track?.id === id) return this.track;
    return this.#library.find((track) => track.id === id) ?? this.#fetch(id);
  }

  /**
   * @param {string} id
   * @returns {Promise<Track | null>}
   */
  async #fetch(id) {
    try {
      return await this.#catalogue.track(id);
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error;
      this.#hooks.onRequestFailed(error);
      return null;
    }
  }

  /**
   * @param {Track} track
   * @param {number} [ifRev] the rev without which the server shall refuse
   */
  #start(track, ifRev) {
    this.track = track;
    this.#act("playTrack", 0, ifRev);
  }

  /**
   * What a person does here takes effect here at once, and then everywhere.
   * @param {Act["event"]} event of the current track
   * @param {number} position seconds
   * @param {number} [ifRev]
   */
  #act(event, position, ifRev) {
    clearTimeout(this.#succession);
    const { track } = this;
    if (!track) return;
    const isAnother = track.id !== this.#state.trackId;
    this.#state = {
      trackId: track.id,
      currentTime: position,
      isPlaying: event === "playTrack",
      playbackRate: isAnother ? 1 : this.#state.playbackRate,
      duration: isAnother ? track.duration : this.#state.duration,
      rev: this.#state.rev,
      deviceId: this.#deviceId,
      at: performance.now(),
    };
    this.#moveSound();
    this.#command(event, position, ifRev);
    this.#hooks.onChanged();
  }

  /**
   * @param {string} event
   * @param {number} position seconds
   * @param {number} [ifRev]
   */
  #command(event, position, ifRev) {
    const { trackId, rev } = this.#state;
    if (this.#connection.status === "open") {
      const data = { trackId, currentTime: milliseconds(position), ifRev };
      this.#awaited = { event, rev, id: this.#connection.ask(event, data) };
    } else {
      this.#unsent = { event, rev };
    }
  }

  /** @param {number} position seconds */
  #report(position) {
    const { trackId, playbackRate } = this.#state;
    const currentTime = milliseconds(position);
    const data = { trackId, currentTime, isPlaying: true, playbackRate };
    if (!this.#isRejoining) this.#connection.tell("updateStreaming", data);
  }

  #moveSound() {
    const { currentTime, at, isPlaying, playbackRate } = this.#state;
    if (!this.track) return;
    this.#sound.follow(this.track, {
      position: currentTime,
      at,
      isPlaying,
      rate: playbackRate,
      waits: !this.isFollowing,
    });
  }

  #ended() {
    if (!this.isFollowing) this.#advance();
    else this.#succession = setTimeout(() => this.#advance(), SUCCESSION);
  }

  /** The track is over. Of several tabs that find this at once the server lets one go on. */
  #advance() {
    if (this.following) this.#start(this.following, this.#state.rev);
    else if (this.#state.isPlaying) this.#act("pauseTrack", this.duration ?? this.position);
    this.#hooks.onChanged();
  }

  /**
   * @param {Data} error
   * @param {number | string} [id]
   */
  #refused({ code, message }, id) {
    if (code === "track_not_found") this.#hooks.onRequestFailed(new RequestFailed(404, message));
    else if (code !== "conflict") this.#hooks.onProblem(`The server says: ${message}.`);
    if (!this.#awaited || id !== this.#awaited.id) return;
    this.#awaited = null;
    this.#connection.tell("getCurrentState");
  }

  get #toldPosition() {
    const { currentTime, at, isPlaying, playbackRate, duration } = this.#state;
    const gone = isPlaying ? ((performance.now() - at) / 1000) * playbackRate : 0;
    return Math.min(currentTime + gone, duration ?? this.track?.duration ?? Infinity);
  }

  get #isOver() {
    const { duration } = this;
    return duration !== undefined && this.position >= duration - OVER;
  }

  /**
   * @param {number} step
   * @returns {Track | undefined}
   */
  #neighbour(step) {
    const here = this.#library.findIndex((track) => track.id === this.#state.trackId);
    return here < 0 ? undefined : this.#library[here + step];
  }
}

/**
 * @param {State} one
 * @param {State} other
 */
function isSame(one, other) {
  return one.trackId === other.trackId && one.isPlaying === other.isPlaying;
}

/** @param {State} state */
function hasEnded({ isPlaying, currentTime, duration }) {
  return !isPlaying && duration !== undefined && currentTime >= duration - OVER;
}

/** @param {number} seconds */
function milliseconds(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
