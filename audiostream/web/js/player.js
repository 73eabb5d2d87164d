// @ts-check
/**
 * The user's playback as this page knows it: what the server tells, and what a person does here.
 *
 * Here: a person's acts become commands and take effect here at once; what the server tells moves
 * the sound; playing is reported; the end of one track starts the next, and so does one that
 * cannot be played; an interruption of the line is made good. Not here: the audio element
 * (audio-output.js), frames (connection.js), anything a person sees.
 *
 *     person ──► act ──► sound              server ──► told ──► sound
 *                 └────► command                sound ──► report ──► server
 *
 * Every command names the rev that it was meant for: what a held line delivers late is refused.
 * While the rev is the same nobody has acted, and where this tab leads its sound is the truth: a
 * state of that rev does not move it, but is put right.
 */

import { ApiError } from "./api.js";
import { AudioOutput } from "./audio-output.js";
import { randomId } from "./client/random-id.js";

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
const TAKEOVER_DELAY = 2_200;
/** The same for the tab that leads, where its track cannot be played. */
const ACTIVE_TAKEOVER_DELAY = 1_200;
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
const NO_TRACK = "track_not_found";
const REPORT = "updateStreaming";
const QUESTION = "getCurrentState";
const STATES = new Set(["trackPlaying", "trackPaused", "trackUpdated", "trackState"]);

/** @typedef {import("../client.js").Track} Track */
/** @typedef {import("../client.js").Socket} Socket */
/** @typedef {Record<string, any>} Data */

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
 * @property {string} event playTrack or pauseTrack; while unanswered also a report or a question
 * @property {string} commandId the same each time that it is sent: it takes effect once
 * @property {number} rev
 * @property {boolean} isOurOwn whether it is off where anybody has acted meanwhile
 * @property {boolean} isOfAnother whether another track was current before
 * @property {Heard} [heard] what sounded here before it
 */

/**
 * Where a track was that sounded here.
 * @typedef {object} Heard
 * @property {string} trackId
 * @property {number} position seconds
 * @property {number} playbackRate
 */

/** @typedef {import("./devices.js").Device} Device */

/**
 * @typedef {object} Hooks
 * @property {() => void} onChanged anything that can be read here may have changed
 * @property {(problem: string) => void} onProblem something a person should know
 * @property {(problem: string) => void} onRecovered this problem is over
 * @property {(error: ApiError) => void} onRequestFailed
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

export class Player {
  /** @type {Track | null} */
  track = null;
  /** @type {State} */
  #state = NOTHING;
  /** @type {Track[]} */
  #library = [];
  /** @type {Track[]} what was shown where the current track was chosen, or is shown now */
  #order = [];
  #socket;
  #api;
  #deviceId;
  #hooks;
  #sound;
  /** Our latest command while it is unanswered: it will overrule what we hear before. */
  /** @type {Act | null} */
  #awaited = null;
  /** What a person last did while the line was down. */
  /** @type {Act | null} */
  #unsent = null;
  #isRejoining = true;
  /** @type {number | undefined} */
  #takeover;
  /** Whether it is asked if the track plays elsewhere. */
  #isTakeoverAsked = false;
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
   * @param {Socket} socket
   * @param {import("./api.js").Api} api
   * @param {string} deviceId
   * @param {Hooks} hooks
   */
  constructor(audio, socket, api, deviceId, hooks) {
    this.#socket = socket;
    this.#api = api;
    this.#deviceId = deviceId;
    this.#hooks = hooks;
    this.#sound = new AudioOutput(audio, {
      onReport: (position) => this.#report(position),
      onPlayed: (position) => this.#act("playTrack", position),
      onPaused: (position) => this.#act("pauseTrack", position),
      onEnded: (position) => this.#ended(position),
      onChanged: hooks.onChanged,
      renew: (id) => this.#renew(id),
      onUnplayable: (position, isGone) => this.#failed(position, isGone),
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

  /** Whether it should sound here, and nothing comes from the server. */
  get isStarved() {
    return this.#sound.isStarved;
  }

  /** Seconds. It stands while nothing sounds, unless another device plays. */
  get position() {
    const isOurs = !this.isFollowing && this.#sound.holds(this.#state.trackId);
    return this.#sound.isReady || isOurs ? this.#sound.position : this.#toldPosition;
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

  /** @param {number} step seconds, back if negative */
  skip(step) {
    this.seek(this.position + step);
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
    if (this.#socket.connected) this.#await(QUESTION);
  }

  /** Fall silent for good. The playback itself goes on wherever else it does. */
  stop() {
    this.#forgetEnd();
    this.#sound.stop();
  }

  /** The line was lost. */
  lost() {
    this.#isRejoining = true;
    const isCommand = this.#awaited && ![REPORT, QUESTION].includes(this.#awaited.event);
    if (isCommand) this.#unsent = this.#awaited;
    this.#awaited = null;
  }

  /**
   * Hear what the server says. What answers a command comes here too, and then once more as its
   * acknowledgement, which counts.
   * @param {string} event
   * @param {Data} data
   */
  hear(event, data) {
    if (event === "devices") this.#devices = data.devices;
    else if (event === "error") this.#complained(data);
    else if (STATES.has(event) && !this.#awaited) this.#told(data, false);
  }

  /**
   * @param {Act} act
   * @param {Data} answer
   */
  #answered(act, answer) {
    const isAwaited = act === this.#awaited;
    if (answer.error) this.#refused(answer.error, isAwaited ? act : null);
    else if (isAwaited) this.#told(answer, true);
  }

  /**
   * @param {Data} data
   * @param {boolean} isAnswer whether to what is awaited
   */
  #told(data, isAnswer) {
    const awaited = this.#awaited;
    this.#awaited = null;
    const state = /** @type {State} */ ({ ...data, at: performance.now() });
    if (this.#isRejoining) {
      this.#isRejoining = false;
      this.#rejoin(state, data.track);
    } else if (awaited?.event === QUESTION) {
      this.#follow(state, data.track);
    } else if (isAnswer && isSame(state, this.#state)) {
      // Our own act, on its way to the server and back: the sound has gone on meanwhile.
      const { currentTime, at } = this.#state;
      this.#state = { ...state, currentTime, at };
      this.#hooks.onChanged();
    } else {
      this.#adopt(state, data.track);
    }
  }

  /**
   * Back on the line. One that has played on says so before it asks for anything: the server knows
   * whether its playback only stood still meanwhile, or somebody has acted since.
   */
  connected() {
    this.#sound.retryNow();
    const heard = this.#unsent ? this.#unsent.heard : this.#heard;
    if (heard) this.#await(REPORT, report(heard));
    else this.#socket.volatile.emit(QUESTION);
  }

  /**
   * Ask for an answer before which nothing else counts.
   * @param {string} event
   * @param {Data} [data]
   */
  #await(event, data) {
    const { rev } = this.#state;
    this.#ask({ event, commandId: "", rev, isOurOwn: true, isOfAnother: false }, data);
  }

  /**
   * @param {Act} act
   * @param {Data} [data]
   */
  #ask(act, data) {
    this.#awaited = act;
    const acknowledge = (/** @type {Data} */ answer) => this.#answered(act, answer);
    this.#socket.volatile.emit(/** @type {any} */ (act.event), /** @type {any} */ (data), acknowledge);
  }

  /** What sounds here, or goes on sounding here as soon as the network lets it. */
  get #heard() {
    const { trackId, isPlaying, playbackRate } = this.#state;
    const isOurs = this.#sound.isSounding || (this.#sound.willSound && !this.isFollowing);
    if (!isPlaying || !isOurs || !this.#sound.holds(trackId)) return undefined;
    return { trackId: trackId ?? "", position: this.position, playbackRate };
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
    const heard = this.#heard;
    if (!unsent) return heard && isAt(state, heard) ? this.#keep(state) : this.#adopt(state, track);
    const isUntouched = [this.#state.rev, unsent.rev].includes(state.rev);
    const isRevived = unsent.heard !== undefined && isAt(state, unsent.heard);
    if (isUntouched || isRevived || state.trackId === null || unsent.rev === NOTHING.rev) {
      this.#insist(unsent, state.rev);
    } else if (state.rev === unsent.rev + 1 && isSame(state, this.#state)) {
      // It may have arrived, and its answer has not: the server knows it by its id.
      this.#insist({ ...unsent, isOurOwn: true }, unsent.rev);
    } else {
      this.#follow(state, track);
    }
  }

  /**
   * What the server tells. Our sound is not moved by a state of a rev that it has heard of.
   * @param {State} state
   * @param {Track} [track]
   */
  #adopt(state, track) {
    const heard = this.#heard;
    const isKnown = state.rev === this.#state.rev && isSame(state, this.#state);
    const isOurs = heard && isKnown && this.#isLed(state) && !this.#isHeardElsewhere;
    if (!isOurs) {
      this.#follow(state, track);
    } else if (isAt(state, heard)) {
      this.#keep(state);
    } else {
      const act = { event: "playTrack", commandId: randomId(), isOurOwn: true, isOfAnother: false };
      this.#insist({ ...act, heard }, state.rev);
    }
  }

  /**
   * The sound stays as it is.
   * @param {State} state
   */
  #keep(state) {
    this.#state = { ...state, currentTime: this.position };
    this.#hooks.onChanged();
  }

  /**
   * Let everybody follow what is done here.
   * @param {Omit<Act, "rev">} act
   * @param {number} rev that of the server's state
   */
  #insist(act, rev) {
    const currentTime = this.position;
    this.#state = { ...this.#state, rev, currentTime, at: performance.now() };
    this.#command({ ...act, rev }, currentTime);
    this.#hooks.onChanged();
  }

  /** @param {State} state */
  #isLed({ deviceId }) {
    return deviceId === null || deviceId === this.#deviceId;
  }

  /** Whether the current track sounds on another device, as far as the server has told. */
  get #isHeardElsewhere() {
    return this.#devices.some(
      ({ deviceId, trackId, isPlaying, reportAge }) =>
        deviceId !== this.#deviceId &&
        isPlaying &&
        trackId === this.#state.trackId &&
        (reportAge ?? Infinity) < REPORT_TIME,
    );
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
    if (track === null && state.isPlaying) return this.#failed(state.currentTime, true);
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
      const track = await this.#api.track(id);
      this.#socket.io.retry();
      return track;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
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
    const before = this.#unsent ?? this.#awaited;
    const heard = before?.heard ?? this.#heard;
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
    const rev = ifRev ?? this.#expectedRev;
    const commandId = randomId();
    this.#command({ event, commandId, rev, isOurOwn, isOfAnother: isAnother, heard }, position);
    this.#hooks.onChanged();
  }

  /** The rev after what is unanswered, if nobody else acts. */
  get #expectedRev() {
    const awaited = this.#awaited;
    const isAct = awaited !== null && awaited.event !== REPORT && awaited.event !== QUESTION;
    return isAct && awaited.rev !== NOTHING.rev ? awaited.rev + 1 : this.#state.rev;
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
   * @param {Act} act of the current track
   * @param {number} position seconds
   */
  #command(act, position) {
    const { trackId } = this.#state;
    if (this.#socket.connected) {
      this.#isRejoining = false;
      const { commandId } = act;
      const ifRev = act.rev === NOTHING.rev ? undefined : act.rev;
      this.#ask({ ...act }, { trackId, currentTime: milliseconds(position), ifRev, commandId });
    } else {
      this.#unsent = { ...act, rev: this.#state.rev };
    }
  }

  /** @param {number} position seconds */
  #report(position) {
    this.#recover();
    const { trackId, playbackRate } = this.#state;
    if (this.#isRejoining || trackId === null || !this.#socket.responding) return;
    this.#socket.emit(REPORT, report({ trackId, position, playbackRate }));
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
    else this.#advanceUnlessHeard(TAKEOVER_DELAY);
  }

  /**
   * Nothing more of the current track can be played here.
   * @param {number} position seconds
   * @param {boolean} isGone whether there is no such audio
   */
  #failed(position, isGone = false) {
    const title = this.track?.title ?? "A track that is gone";
    if (!this.#state.isPlaying) {
      if (this.#problem) return; // it says why
      const why = isGone ? "is no longer there" : "cannot be played in this browser";
      return this.#complain(`“${title}” ${why}.`);
    }
    this.#failedAt = position;
    this.#failures = [...this.#failures, title];
    if (this.#devices.length <= 1) this.#advance();
    else this.#advanceUnlessHeard(this.isFollowing ? TAKEOVER_DELAY : ACTIVE_TAKEOVER_DELAY);
  }

  /**
   * Go on after a while, unless another device plays what this one cannot: a browser lacks formats
   * that others have, and its network may be worse.
   * @param {number} wait milliseconds
   */
  #advanceUnlessHeard(wait) {
    clearTimeout(this.#takeover);
    this.#takeover = setTimeout(() => {
      if (!this.#socket.connected) return this.#advance();
      this.#isTakeoverAsked = true;
      this.#socket.emit("getDevices", { watch: true }, (answer) => {
        if ("devices" in answer) this.#look(answer.devices);
      });
      this.#advanceUnlessHeard(NEXT_QUESTION);
    }, wait);
  }

  /**
   * @param {Device[]} devices
   */
  #look(devices) {
    this.#devices = devices;
    if (!this.#isTakeoverAsked) return;
    this.#isTakeoverAsked = false;
    if (!this.#isHeardElsewhere) this.#advance();
    else if (this.#failures.length) {
      this.#complain(`“${this.track?.title}” plays elsewhere, but cannot be played here.`);
    }
  }

  /** What was to be done about the end of the current track is done, or is not wanted any more. */
  #forgetEnd() {
    clearTimeout(this.#takeover);
    this.#isTakeoverAsked = false;
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
    const act = { event: "pauseTrack", commandId: randomId(), isOurOwn: true, isOfAnother: false };
    this.#command({ ...act, rev }, position);
  }

  /**
   * What the server refuses that expects no answer: our reports, and what it cannot read.
   * @param {Data} error
   */
  #complained({ code, message, event }) {
    const isReport = event === REPORT && this.#awaited?.event !== REPORT;
    // A track that has left the library plays on from what the browser has: nobody need know.
    if ((isReport && code !== NO_TRACK) || event === null) {
      this.#hooks.onProblem(`The server says: ${message}.`);
    }
  }

  /**
   * @param {Data} error
   * @param {Act | null} refused what was awaited
   */
  #refused({ code, message, state }, refused) {
    if (refused) this.#awaited = null;
    if (refused && code === "conflict" && !refused.isOurOwn && this.#isRepeatable(state)) {
      // A person acts whatever others have done: but only once, and not on a line that was given up.
      this.#state = { ...this.#state, rev: state.rev };
      return this.#command({ ...refused, rev: state.rev }, this.#state.currentTime);
    }
    if (code === NO_TRACK) this.#hooks.onRequestFailed(new ApiError(NOT_FOUND, message));
    else if (code !== "conflict") this.#hooks.onProblem(`The server says: ${message}.`);
    if (!refused) return;
    // The library here was an older one: what follows in it may still be there.
    const isSkipped = refused.event === "playTrack" && refused.isOfAnother;
    if (code === NO_TRACK && isSkipped) return this.#failed(0, true);
    this.#await(QUESTION);
  }

  /**
   * Whether a command that was refused for a newer state still makes sense.
   * @param {State} state
   */
  #isRepeatable({ trackId }) {
    return this.#state.isPlaying || trackId === this.#state.trackId;
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

/**
 * Whether a state is where a track sounds.
 * @param {State} state
 * @param {Heard} heard
 */
function isAt({ trackId, isPlaying, currentTime, playbackRate }, heard) {
  const isNear = Math.abs(heard.position - currentTime) <= TOLERANCE;
  const isFollowed = trackId === heard.trackId && playbackRate === heard.playbackRate;
  return isPlaying && isFollowed && isNear;
}

/**
 * @param {Heard} heard
 * @returns {import("../client.js").UpdateStreaming} what a player says that is there
 */
function report({ trackId, position, playbackRate }) {
  return { trackId, currentTime: milliseconds(position), isPlaying: true, playbackRate };
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
