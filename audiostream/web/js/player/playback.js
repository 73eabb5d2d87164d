// @ts-check
/**
 * `Playback`: what the server's states and the end of the audio lead to, below the user's actions.
 *
 *     action ──► audio, command           server ──► Sync ──► audio, where this page sounds
 *     audio ends ──► the next track of the server's queue, at once; the end is reported
 *     audio cannot be played ──► nextTrack
 */

import { Library } from "./library.js";
import { Offers } from "./offers.js";
import { Problems } from "./problems.js";
import { idsAfter, placesAfter } from "./queue.js";
import { isEmpty, isOver, positionAt } from "./state.js";
import { Sync } from "./sync.js";

/** Share of the listed duration before which a track has ended early; durations are estimates. */
const COMPLETE = 0.9;
/** Seconds before the end of a track from which on the next one is loaded. */
const PRELOAD_TIME = 20;

const NOTHING_FOLLOWS = "Nothing follows, so playback is paused.";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Action} Action */
/** @typedef {import("./state.js").AudioPlace} AudioPlace */
/** @typedef {import("./state.js").Track} Track */
/** @typedef {import("./ports.js").Ports} Ports */
/** @typedef {import("./queue.js").Queue} Queue */
/**
 * @typedef {Partial<Action> & { index?: number | null, isPlaying?: boolean }} Details of an action;
 *     `index` is the place in the queue
 */

export class Playback {
  /** @type {Track | null} */
  track = null;
  /** The conversation with the server; the one who has a connection calls its methods. */
  sync;
  _ports;
  _library = new Library();
  _offers;
  #sounds;
  #problems;
  /** Grows with every state that is followed, and every action. */
  #generation = 0;

  /**
   * @param {string} ownId this tab's
   * @param {Ports} ports
   * @param {"active" | "always"} sounds whether this page sounds as the active device alone
   */
  constructor(ownId, ports, sounds) {
    this._ports = ports;
    this.#sounds = sounds;
    this.#problems = new Problems(ports);
    this._offers = new Offers(ports);
    this.sync = new Sync(ownId, ports.connection, {
      ...ports,
      audioPlace: () => this.#audioPlace,
      position: () => this.position,
      onState: (before, track) => this.#follow(before, track),
    });
  }

  get isPlaying() {
    return this._state.isPlaying && !this._isOver && !this.sync.isAbandoned;
  }

  /** Whether another tab or device is the active one. */
  get isFollowing() {
    return this.sync.isFollowing;
  }

  /** Whether the sound comes from this page, if anything plays. */
  get isSounding() {
    return this.#sounds === "always" || !this.isFollowing;
  }

  /** The row of the active device, null where none is, or it is not connected. */
  get activeDevice() {
    return this.sync.activeDevice;
  }

  /** Seconds. It stands still while nothing plays here, unless another device plays. */
  get position() {
    const { audio, now } = this._ports;
    const isOwn = !this.isFollowing && audio.holds(this._state.trackId);
    if (audio.isReady || isOwn) return audio.position;
    const duration = this._state.duration ?? this.track?.duration;
    const isPlaying = this._state.isPlaying && !this.sync.isAbandoned;
    return positionAt({ ...this._state, isPlaying, duration }, now());
  }

  /** Seconds, undefined while unknown. */
  get duration() {
    return this._ports.audio.duration ?? this._state.duration ?? this.track?.duration;
  }

  /** How fast it plays; 1 is as recorded. */
  get rate() {
    return this._state.playbackRate;
  }

  /** The queue and the rev that it is of, null before the server has sent it. */
  get queue() {
    const { value } = this.sync.queue;
    return value && { ...value, rev: this._state.rev };
  }

  /** What follows the end: "off" the next track, "one" the same one, "all" around. */
  get repeat() {
    return this._state.queue?.repeat ?? "off";
  }

  /** The track that follows this one, null if none does. */
  get following() {
    const { nextTrack } = this._state;
    return nextTrack === undefined ? this.#followingIn(this.queue) : nextTrack;
  }

  /** @param {Track[]} tracks the whole library */
  setLibrary(tracks) {
    this._library.setTracks(tracks);
    const isKnown = this._library.find(this._state.trackId) !== undefined;
    if (!this.track && isKnown) this.#follow(this._state);
    this._ports.onChanged();
  }

  /** @param {number} position seconds at which the audio plays */
  played(position) {
    const { audio, now } = this._ports;
    this.#problems.audioPlays(now());
    this.sync.report(position);
    const { following, duration } = this;
    const isNear = duration !== undefined && (duration - position) / this.rate <= PRELOAD_TIME;
    if (isNear && !this.isFollowing && following && following.id !== this.track?.id) {
      audio.preload(following);
    }
  }

  /**
   * Handle that something else than this page has started or paused the audio element.
   * @param {boolean} isPlaying
   * @param {number} position seconds
   */
  audioToggled(isPlaying, position) {
    this._act(isPlaying ? "playTrack" : "pauseTrack", position);
  }

  /** @param {number} position seconds at which the audio has ended */
  ended(position) {
    const { trackId, playbackRate, duration: listed = 0 } = this._state;
    if (isEmpty(position)) return this.unplayable(position);
    if (this.isFollowing || trackId === null) return; // the active device reports it
    const isIncomplete = position < COMPLETE * Math.max(this.duration ?? 0, listed);
    const ended = { trackId, position, playbackRate };
    const { following } = this;
    if (following) this._goTo("updateStreaming", following, { isAutomatic: true, ended });
    else this.#endQueue(ended, isIncomplete);
  }

  /**
   * Nothing more of the current track can be played here.
   * @param {number} position seconds
   * @param {boolean} [isMissing] whether the server has no such audio
   */
  unplayable(position, isMissing = false) {
    const title = this.track?.title ?? "A track that is gone";
    if (!this._state.isPlaying) {
      const why = isMissing ? "is no longer there" : "cannot be played in this browser";
      if (!this.#problems.isShown) this.#problems.show(`“${title}” ${why}.`);
    } else if (this.isFollowing || this.sync.isPlayedElsewhere) {
      this.#problems.show(`“${title}” plays elsewhere, but cannot be played here.`);
    } else {
      this.#problems.addFailure(title, this._state.trackId);
      this.#skip(position);
    }
  }

  get _state() {
    return this.sync.state;
  }

  get _isOver() {
    return isOver(this.position, this.duration);
  }

  /** The next track of the queue, whatever is repeated. */
  get _neighbour() {
    return this.repeat === "one" ? this.#nextIn(this.queue) : this.following;
  }

  /**
   * Apply an action on the current track here at once, and then everywhere.
   * @param {import("./state.js").Event} event
   * @param {number} position seconds
   * @param {Details} [details]
   */
  _act(event, position, { index, isPlaying, ...details } = {}) {
    this.#generation++;
    if (!details.isAutomatic) this.#problems.forgetFailures();
    const state = this._state;
    const { track } = this;
    const trackId = track?.id ?? state.trackId;
    if (trackId === null) return;
    const isTrackChange = trackId !== state.trackId;
    if (isTrackChange) this._offers.clear();
    const target = {
      ...state,
      trackId,
      currentTime: position,
      isPlaying: isPlaying ?? event !== "pauseTrack",
      playbackRate: track ? this._library.rateOf(track, state) : state.playbackRate,
      duration: isTrackChange ? track?.duration : state.duration,
      ...(index !== undefined && this.#placeAt(index)),
    };
    this.#tellRate(target);
    const deviceId = this.#commandedDevice;
    const action = { event, isAutomatic: false, ...(deviceId && { deviceId }), ...details };
    this.sync.act(target, action);
    this._moveAudio(!action.isAutomatic || event === "nextTrack");
    this._ports.onChanged();
  }

  /**
   * Play another track of the queue.
   * @param {import("./state.js").Event} event
   * @param {Track} track
   * @param {Details} [details]
   */
  _goTo(event, track, details = {}) {
    const { queue } = this;
    const isRepeated = track.id === this._state.trackId && event !== "nextTrack";
    const after = queue ? placesAfter(queue) : [];
    const found = after.find((place) => queue?.trackIds[place] === track.id) ?? null;
    this.track = track;
    this._act(event, 0, { index: isRepeated ? queue?.index : found, ...details });
  }

  /** @param {boolean} isRetried whether a track that could not be played is loaded again */
  _moveAudio(isRetried) {
    const { audio } = this._ports;
    const { currentTime, at, isPlaying, playbackRate } = this._state;
    if (!this.isSounding) return audio.release();
    if (!this.track) return;
    const target = { position: currentTime, at, isPlaying, rate: playbackRate };
    audio.follow(this.track, { ...target, waits: !this.isFollowing }, isRetried);
  }

  /** The device that stays the active one when it is controlled from here. */
  get #commandedDevice() {
    const isRemote = !this.isSounding && !this.sync.isAbandoned;
    return (isRemote && this._state.deviceId) || undefined;
  }

  /** @type {AudioPlace | undefined} */
  get #audioPlace() {
    const { audio } = this._ports;
    const { trackId, isPlaying, playbackRate } = this._state;
    const isOwn = audio.isPlaying || (audio.willPlay && !this.isFollowing);
    if (!isPlaying || !isOwn || trackId === null || !audio.holds(trackId)) return undefined;
    return { trackId, position: this.position, playbackRate };
  }

  /**
   * @param {Queue | null} queue
   * @returns {Track | null} the next one that is there
   */
  #nextIn(queue) {
    return idsAfter(queue).map((id) => this._library.find(id)).find(Boolean) ?? null;
  }

  /** @param {Queue | null} queue */
  #followingIn(queue) {
    const isRepeated = queue?.repeat === "one" && queue.index !== null;
    return isRepeated ? this.track : this.#nextIn(queue);
  }

  /** @param {number | null} index of the current track in the queue */
  #placeAt(index) {
    const { trackIds } = this.sync.queue;
    const { repeat } = this;
    if (!trackIds) return { queue: undefined, nextTrack: undefined };
    const nextTrack = this.#followingIn({ trackIds, index, repeat });
    return { queue: { index, length: trackIds.length, repeat }, nextTrack };
  }

  /**
   * Move the audio to the state, once its track is known.
   * @param {State} before the former state
   * @param {Track} [sent] comes with some events
   */
  async #follow(before, sent) {
    const generation = ++this.#generation;
    const { rev, trackId } = this._state;
    const isNew = rev !== before.rev || trackId !== before.trackId;
    if (trackId !== before.trackId) this._offers.clear();
    this.#tellRate(this._state, before);
    if (!this.isSounding) this._ports.audio.release();
    if (trackId === null) return this._ports.onChanged();
    const known = this.track?.id === trackId ? this.track : this._library.find(trackId);
    const track = sent ?? known ?? (await this._ports.loadTrack(trackId));
    if (generation !== this.#generation) return; // a newer state has come meanwhile
    this.track = track ?? null;
    this._ports.onChanged();
    const { isPlaying, currentTime } = this._state;
    if (track) return this._moveAudio(isNew && isPlaying);
    if (track === null && isPlaying && this.isSounding) this.unplayable(currentTime, true);
  }

  /**
   * Say that another track begins at the rate 1, which the user has not chosen.
   * @param {Pick<State, "trackId" | "playbackRate">} state
   * @param {State} [before] the former state
   */
  #tellRate({ trackId, playbackRate }, before = this._state) {
    const hasFallen = playbackRate === 1 && before.playbackRate !== 1;
    if (hasFallen && trackId !== before.trackId) this._ports.onDone("Speed is back to 1×");
  }

  /** @param {number} position seconds from which the current track cannot be played */
  #skip(position) {
    const { _neighbour: next } = this;
    if (next && !this.#problems.isHopeless(idsAfter(this.queue))) {
      this._goTo("nextTrack", next, { isAutomatic: true });
      return this.#problems.showFailures("Skipped.");
    }
    this.#problems.showFailures(next ? "Playback is paused." : NOTHING_FOLLOWS, true);
    this.#problems.forgetFailures();
    return this._act("pauseTrack", position, { isAutomatic: true });
  }

  /**
   * @param {AudioPlace} ended the end of the last track
   * @param {boolean} isIncomplete
   */
  #endQueue(ended, isIncomplete) {
    const title = this.track?.title;
    const text = `“${title}” ended early: its file is incomplete. ${NOTHING_FOLLOWS}`;
    if (isIncomplete) this.#problems.show(text);
    const details = { isAutomatic: true, isPlaying: false, ended };
    this._act("updateStreaming", ended.position, details);
  }
}
