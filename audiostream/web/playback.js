// @ts-check
/**
 * The user's playback as this page knows it: what the server tells, and what a person does here.
 *
 * Here: a person's acts become commands and take effect here at once; what the server tells moves
 * the sound; playing is reported; the end of one track starts the next, and so does one that
 * cannot be played; an interruption of the line is made good. Not here: the audio element
 * (sound.js), frames (connection.js), anything a person sees.
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
 * Milliseconds after which a tab that does not lead asks, at the end of a track, whether the track
 * plays elsewhere, to start the next one itself if not: whoever led may be gone.
 */
const SUCCESSION = 2_200;
/** The same for the tab that leads, where its track cannot be played. */
const LEADER_SUCCESSION = 1_200;
/** Milliseconds after which it asks again, while the track plays elsewhere. */
const NEXT_QUESTION = 5_000;
/** Seconds in which a device that plays reports; browsers do so four times a second. */
const REPORT_TIME = 1;
/** Tracks in a row that cannot be played, after which it is not the tracks' fault. */
const MOST_FAILURES = 20;
/** Share of the listed duration before which a track has ended early; durations are estimates. */
const COMPLETE = 0.9;
/** Milliseconds of sound after which a person need not know any more what could not be played. */
const RECOVERED_AFTER = 15_000;

const NOT_FOUND = 404;
const REPORT = "updateStreaming";
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
 * @property {string} event playTrack or pauseTrack; while unanswered also a report
 * @property {number} rev
 */

/** @typedef {import("./devices.js").Device} Device */

/**
 * @typedef {object} Hooks
 * @property {() => void} onChanged anything that can be read here may have changed
 * @property {(problem: string) => void} onProblem something a person should know
 * @property {(problem: string) => void} onRecovered this problem is over
 * @property {(error: RequestFailed) => void} onRequestFailed
 */

/** What is known before the server has told anything: no rev of its is like this one. */
/** @type {State} */
const NOTHING = {
  trackId: null,
  currentTime: 0,
  isPlaying: false,
  playbackRate: 1,
  rev: -1,
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
  /** @type {Track[]} what was shown where the current track was chosen, or is shown now */
  #order = [];
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
  /** @type {number | undefined} */
  #succession;
  /** The id of our question whether the track plays elsewhere. */
  /** @type {number | undefined} */
  #question;
  /** @type {Device[]} all that are connected, as far as the server tells */
  #devices = [];
  /** Titles of the tracks in a row that could not be played here. */
  /** @type {string[]} */
  #failures = [];
  /** Where the current track could not be played any further, in seconds. */
  /** @type {number | undefined} */
  #failedAt;
  /** What a person still reads of what could not be played, and since when it sounds again. */
  #problem = "";
  /** @type {number | undefined} */
  #soundsSince;
  /** The track to go on with once the current one is no longer in the library. */
  /** @type {Track | undefined} */
  #successor;
  #isLibraryKnown = false;
  #isLibraryAwaited = false;

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
      onEnded: (position) => this.#ended(position),
      onChanged: hooks.onChanged,
      renew: (id) => this.#renew(id),
      onUnplayable: (position) => this.#failed(position),
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

  /** The track after the current one, in the order of what is shown or of the library. */
  get following() {
    return this.#neighbour(1);
  }

  /** @param {Track[]} tracks the whole library */
  setLibrary(tracks) {
    const ids = new Set(tracks.map(({ id }) => id));
    const here = this.#library.findIndex(({ id }) => id === this.#state.trackId);
    const later = here < 0 ? [this.#successor] : this.#library.slice(here + 1);
    this.#successor = later.find((track) => track && ids.has(track.id));
    this.#library = tracks;
    this.#order = this.#order.filter(({ id }) => ids.has(id));
    this.#isLibraryKnown = true;
    if (this.#isLibraryAwaited) this.#advance();
    else if (!this.track && ids.has(this.#state.trackId ?? "")) this.#follow(this.#state);
    this.#hooks.onChanged();
  }

  /**
   * @param {string | null} id
   * @returns {string} empty for a track that is not in the library
   */
  titleOf(id) {
    return this.#library.find((track) => track.id === id)?.title ?? "";
  }

  /** @param {Track[]} tracks what a person sees: "previous" and "next" go on in it */
  setShown(tracks) {
    const { trackId } = this.#state;
    if (trackId === null || tracks.some(({ id }) => id === trackId)) this.#order = tracks;
    this.#hooks.onChanged();
  }

  /**
   * @param {Track} track
   * @param {Track[]} shown what it was chosen from
   */
  choose(track, shown) {
    this.#order = shown;
    if (track.id === this.track?.id) this.toggle();
    else this.#start(track);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    const track = this.track ?? this.#order[0] ?? this.#library[0];
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
    this.#forgetEnd();
    this.#sound.stop();
  }

  /** The line was lost. */
  lost() {
    this.#isRejoining = true;
    if (this.#awaited && this.#awaited.event !== REPORT) this.#unsent = this.#awaited;
    this.#awaited = null;
  }

  /**
   * Hear what the server says.
   * @param {string} event
   * @param {Data} data
   * @param {number | string} [id]
   */
  hear(event, data, id) {
    if (event === "authenticated") this.#introduce();
    else if (event === "devices") this.#look(data.devices, id);
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
   * Back on the line. One that has played on says so before it asks for anything: the server knows
   * whether its playback only stood still meanwhile, or somebody has acted since.
   */
  #introduce() {
    if (!this.#sound.isSounding || this.#unsent) return this.#connection.tell("getCurrentState");
    const { rev } = this.#state;
    const id = this.#connection.ask(REPORT, this.#position(this.position));
    this.#awaited = { event: REPORT, rev, id };
  }

  /**
   * The first state on a line. What a person did here while there was none counts if nobody has
   * acted since, for which no device's id is a proof, but the rev.
   * @param {State} state
   * @param {Track} [track]
   */
  #rejoin(state, track) {
    const unsent = this.#unsent;
    this.#unsent = null;
    const isUntouched = state.trackId === null || unsent?.rev === state.rev;
    if (unsent && (isUntouched || unsent.rev === NOTHING.rev)) {
      this.#state = { ...this.#state, rev: state.rev };
      this.#command(unsent.event, this.position, state.rev);
    } else if (this.#agrees(state)) {
      this.#state = { ...state, currentTime: this.position };
      this.#hooks.onChanged();
    } else {
      this.#follow(state, track);
    }
  }

  /**
   * Whether the sound is where the state is.
   * @param {State} state
   */
  #agrees(state) {
    const isNear = Math.abs(this.position - state.currentTime) <= TOLERANCE;
    return this.#sound.isSounding && isSame(state, this.#state) && isNear;
  }

  /**
   * @param {State} state
   * @param {Track} [told] comes with some events
   */
  async #follow(state, told) {
    const before = this.#state;
    const isNew = state.rev !== before.rev || state.trackId !== before.trackId;
    if (isNew) this.#forgetEnd();
    this.#state = state;
    if (state.trackId === null) return this.#hooks.onChanged();
    const track = await this.#known(state.trackId, told);
    if (state !== this.#state) return; // something newer came while the track was fetched
    this.track = track ?? null;
    this.#hooks.onChanged();
    if (track === null && state.isPlaying) return this.#failed(state.currentTime);
    if (!track) return;
    this.#moveSound(isNew && state.isPlaying);
    const wasPlaying = before.isPlaying && before.trackId === state.trackId;
    if (wasPlaying && hasEnded(state) && !this.isFollowing) this.#advance();
  }

  /**
   * @param {string} id
   * @param {Track} [told]
   * @returns {Promise<Track | null | undefined> | Track}
   */
  #known(id, told) {
    if (told) return told;
    if (this.track?.id === id) return this.track;
    return this.#library.find((track) => track.id === id) ?? this.#renew(id);
  }

  /**
   * @param {string} id
   * @returns {Promise<Track | null | undefined>} null if there is none, undefined if that is
   *     unknown now
   */
  async #renew(id) {
    try {
      return await this.#catalogue.track(id);
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error;
      if (error.status !== 0) this.#hooks.onRequestFailed(error);
      return error.status === NOT_FOUND ? null : undefined;
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
   * @param {number} [ifRev] what this page does by itself, only if nobody has acted meanwhile
   */
  #act(event, position, ifRev) {
    this.#forgetEnd();
    const isOurOwn = ifRev !== undefined;
    if (!isOurOwn) this.#failures = [];
    const { track } = this;
    if (!track) return;
    const isAnother = track.id !== this.#state.trackId;
    this.#state = {
      trackId: track.id,
      currentTime: position,
      isPlaying: event === "playTrack",
      playbackRate: this.#rateOf(track),
      duration: isAnother ? track.duration : this.#state.duration,
      rev: this.#state.rev,
      deviceId: this.#deviceId,
      at: performance.now(),
    };
    this.#moveSound(!isOurOwn);
    this.#command(event, position, ifRev);
    this.#hooks.onChanged();
  }

  /**
   * How fast a track begins, as the server has it: the rate stays within an album.
   * @param {Track} track
   */
  #rateOf(track) {
    const { trackId, playbackRate } = this.#state;
    if (track.id === trackId) return playbackRate;
    const before = this.#library.find(({ id }) => id === trackId);
    const isOfOneAlbum =
      track.album !== undefined &&
      track.album === before?.album &&
      track.albumArtist === before?.albumArtist;
    return isOfOneAlbum ? playbackRate : 1;
  }

  /**
   * @param {string} event
   * @param {number} position seconds
   * @param {number} [ifRev]
   */
  #command(event, position, ifRev) {
    const { trackId, rev } = this.#state;
    if (this.#connection.status === "open") {
      this.#isRejoining = false;
      const isKnown = ifRev !== NOTHING.rev;
      const currentTime = milliseconds(position);
      const data = { trackId, currentTime, ifRev: isKnown ? ifRev : undefined };
      this.#awaited = { event, rev, id: this.#connection.ask(event, data) };
    } else {
      this.#unsent = { event, rev };
    }
  }

  /** @param {number} position seconds */
  #report(position) {
    this.#recover();
    if (!this.#isRejoining) this.#connection.tell(REPORT, this.#position(position));
  }

  /** @param {number} position seconds */
  #position(position) {
    const { trackId, playbackRate } = this.#state;
    return { trackId, currentTime: milliseconds(position), isPlaying: true, playbackRate };
  }

  /** It sounds: what could not be played is over, and soon a person need not read of it. */
  #recover() {
    this.#failures = [];
    if (!this.#problem) return;
    this.#soundsSince ??= performance.now();
    if (performance.now() - this.#soundsSince < RECOVERED_AFTER) return;
    this.#hooks.onRecovered(this.#problem);
    this.#problem = "";
  }

  /** @param {string} words why there is no sound */
  #complain(words) {
    this.#problem = words;
    this.#soundsSince = undefined;
    this.#hooks.onProblem(words);
  }

  /** @param {boolean} isRetried whether a track that could not be played is tried once more */
  #moveSound(isRetried) {
    const { currentTime, at, isPlaying, playbackRate } = this.#state;
    if (!this.track) return;
    const target = { position: currentTime, at, isPlaying, rate: playbackRate };
    this.#sound.follow(this.track, { ...target, waits: !this.isFollowing }, isRetried);
  }

  /** @param {number} position seconds */
  #ended(position) {
    if (position < OVER) return this.#failed(position);
    const listed = Math.max(this.duration ?? 0, this.#state.duration ?? 0);
    if (position < COMPLETE * listed) this.#failedAt = position;
    if (!this.isFollowing) this.#advance();
    else this.#advanceUnlessHeard(SUCCESSION);
  }

  /**
   * Nothing more of the current track can be played here.
   * @param {number} position seconds
   */
  #failed(position) {
    const title = this.track?.title ?? "A track that is gone";
    if (!this.#state.isPlaying) {
      if (this.#problem) return; // it says why
      return this.#complain(`“${title}” cannot be played in this browser.`);
    }
    this.#failedAt = position;
    this.#failures = [...this.#failures, title];
    if (this.#devices.length <= 1) this.#advance();
    else this.#advanceUnlessHeard(this.isFollowing ? SUCCESSION : LEADER_SUCCESSION);
  }

  /**
   * Go on after a while, unless another device plays what this one cannot: a browser lacks formats
   * that others have, and its network may be worse.
   * @param {number} wait milliseconds
   */
  #advanceUnlessHeard(wait) {
    clearTimeout(this.#succession);
    this.#succession = setTimeout(() => {
      if (this.#connection.status !== "open") return this.#advance();
      this.#question = this.#connection.ask("getDevices", { watch: true });
      this.#advanceUnlessHeard(NEXT_QUESTION);
    }, wait);
  }

  /**
   * @param {Device[]} devices
   * @param {number | string} [id]
   */
  #look(devices, id) {
    this.#devices = devices;
    if (id === undefined || id !== this.#question) return;
    this.#question = undefined;
    const isHeard = devices.some(
      ({ trackId, isPlaying, reportAge }) =>
        isPlaying && trackId === this.#state.trackId && (reportAge ?? Infinity) < REPORT_TIME,
    );
    if (!isHeard) this.#advance();
    else if (this.#failures.length) {
      this.#complain(`“${this.track?.title}” plays elsewhere, but cannot be played here.`);
    }
  }

  /** What was to be done about the end of the current track is done, or is not wanted any more. */
  #forgetEnd() {
    clearTimeout(this.#succession);
    this.#question = undefined;
    this.#failedAt = undefined;
    this.#isLibraryAwaited = false;
  }

  /** The track is over. Of several tabs that find this at once the server lets one go on. */
  #advance() {
    const { following } = this;
    const { rev, isPlaying } = this.#state;
    const isHopeless = this.#failures.length >= MOST_FAILURES;
    this.#isLibraryAwaited = !this.#isLibraryKnown;
    if (this.#isLibraryAwaited) return;
    if (following && !isHopeless) {
      if (this.#failures.length) this.#complain(`${said(this.#failures)} Skipped.`);
      this.#start(following, rev);
    } else if (isPlaying) {
      this.#finish(isHopeless);
    }
    this.#hooks.onChanged();
  }

  /** @param {boolean} isHopeless */
  #finish(isHopeless) {
    const rest = isHopeless ? "Playback is paused." : "Nothing follows, so playback is paused.";
    if (this.#failures.length) {
      this.#complain(`${said(this.#failures)} ${rest}`);
      this.#failures = [];
    } else if (this.#failedAt !== undefined) {
      this.#complain(`“${this.track?.title}” ended early: its file is incomplete. ${rest}`);
    }
    const position = this.#failedAt ?? this.duration ?? this.position;
    const { rev } = this.#state;
    if (this.track) return this.#act("pauseTrack", position, rev);
    this.#state = { ...this.#state, isPlaying: false };
    this.#command("pauseTrack", position, rev);
  }

  /**
   * @param {Data} error
   * @param {number | string} [id]
   */
  #refused({ code, message }, id) {
    if (code === "track_not_found") this.#hooks.onRequestFailed(new RequestFailed(404, message));
    else if (code !== "conflict") this.#hooks.onProblem(`The server says: ${message}.`);
    const refused = this.#awaited;
    if (!refused || id !== refused.id) return;
    this.#awaited = null;
    // The library here was an older one: what follows in it may still be there.
    if (code === "track_not_found" && refused.event === "playTrack") return this.#failed(0);
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
    for (const tracks of [this.#order, this.#library]) {
      const here = tracks.findIndex((track) => track.id === this.#state.trackId);
      if (here >= 0) return tracks[here + step];
    }
    return step > 0 ? this.#successor : undefined;
  }
}

/**
 * @param {State} one
 * @param {State} other
 */
function isSame(one, other) {
  return (
    one.trackId === other.trackId &&
    one.isPlaying === other.isPlaying &&
    one.playbackRate === other.playbackRate
  );
}

/** @param {State} state */
function hasEnded({ isPlaying, currentTime, duration }) {
  return !isPlaying && duration !== undefined && currentTime >= duration - OVER;
}

/** @param {number} seconds */
function milliseconds(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

/**
 * @param {string[]} failures the titles of tracks, one at least
 * @returns {string} that they cannot be played
 */
function said(failures) {
  if (failures.length > 1) return `${failures.length} tracks in a row cannot be played.`;
  return `“${failures[0]}” cannot be played.`;
}
