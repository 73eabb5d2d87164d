// @ts-check
/**
 * The player's state machine: what the user's actions, the server's states and the end of the
 * audio lead to. It uses no DOM, audio element or network but its `Ports`.
 *
 *     user ──► act ──► audio, command           server ──► Sync ──► audio
 *     audio ends, or cannot be played ──► the active device goes on at once
 *                                    └──► another one goes on if the track plays nowhere else
 */

import { Problems } from "./problems.js";
import { Queue } from "./queue.js";
import { hasEnded, isEmpty, isOver, positionAt } from "./state.js";
import { Sync } from "./sync.js";
import { ACTIVE_TAKEOVER_DELAY, TAKEOVER_DELAY, Takeover } from "./takeover.js";

/** Seconds into a track after which "previous" means its beginning. */
const RESTART_AFTER = 3;
/** Share of the listed duration before which a track has ended early; durations are estimates. */
const COMPLETE = 0.9;

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Action} Action */
/** @typedef {import("./state.js").Track} Track */
/** @typedef {import("./ports.js").Ports} Ports */

export class PlayerMachine {
  /** @type {Track | null} */
  track = null;
  /** The conversation with the server; the one who has a connection calls its methods. */
  sync;
  #ports;
  #problems;
  #takeover;
  #queue = new Queue();
  /** @type {number | undefined} seconds from which the current track cannot be played */
  #failedAt;
  #isWaitingForLibrary = false;

  /**
   * @param {string} ownId this tab's
   * @param {Ports} ports
   */
  constructor(ownId, ports) {
    this.#ports = ports;
    this.#problems = new Problems(ports);
    this.#takeover = new Takeover(ports, () => this.#takeOver());
    this.sync = new Sync(ownId, ports.connection, {
      ...ports,
      audioPlace: () => this.#audioPlace,
      position: () => this.position,
      onState: (before, track) => this.#follow(before, track),
      onTrackRefused: () => this.unplayable(0, true),
    });
  }

  get isPlaying() {
    return this.#state.isPlaying && !this.#isOver;
  }

  get canPlay() {
    return this.track !== null || !this.#queue.isEmpty;
  }

  /** Whether another tab or device is the active one. */
  get isFollowing() {
    return this.sync.isFollowing;
  }

  /** Seconds. It stands still while nothing plays here, unless another device plays. */
  get position() {
    const { audio, now } = this.#ports;
    const isOwn = !this.isFollowing && audio.holds(this.#state.trackId);
    if (audio.isReady || isOwn) return audio.position;
    const duration = this.#state.duration ?? this.track?.duration;
    return positionAt({ ...this.#state, duration }, now());
  }

  /** Seconds, undefined while unknown. */
  get duration() {
    return this.#ports.audio.duration ?? this.#state.duration ?? this.track?.duration;
  }

  /** How fast it plays; 1 is as recorded. */
  get rate() {
    return this.#state.playbackRate;
  }

  /** The next track, in the order of what is shown or of the library. */
  get following() {
    return this.#queue.after(this.#state.trackId);
  }

  /** @param {Track[]} tracks the whole library */
  setLibrary(tracks) {
    const { trackId } = this.#state;
    this.#queue.setLibrary(tracks, trackId);
    if (this.#isWaitingForLibrary) this.#advance();
    else if (!this.track && this.#queue.find(trackId)) this.#follow(this.#state);
    this.#ports.onChanged();
  }

  /** @param {Track[]} tracks what the user sees: "previous" and "next" go on in it */
  setShown(tracks) {
    this.#queue.setShown(tracks, this.#state.trackId);
    this.#ports.onChanged();
  }

  /**
   * @param {string | null} id
   * @returns {string} empty for a track that is not in the library
   */
  titleOf(id) {
    return this.#queue.find(id)?.title ?? "";
  }

  /**
   * @param {Track} track
   * @param {Track[]} list where the user has chosen it
   */
  choose(track, list) {
    this.#queue.setList(list);
    if (track.id === this.track?.id) this.toggle();
    else this.#start(track);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    const { first } = this.#queue;
    if (this.track) this.#act("playTrack", this.#isOver ? 0 : this.position);
    else if (first) this.#start(first);
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
    const before = this.#queue.before(this.#state.trackId);
    if (before && this.position <= RESTART_AFTER) this.#start(before);
    else this.#act("playTrack", 0);
  }

  /** @param {number} position seconds at which the audio plays */
  played(position) {
    this.#problems.audioPlays(this.#ports.now());
    this.sync.report(position);
  }

  /**
   * Handle that something else than this page has started or paused the audio element.
   * @param {boolean} isPlaying
   * @param {number} position seconds
   */
  audioToggled(isPlaying, position) {
    this.#act(isPlaying ? "playTrack" : "pauseTrack", position);
  }

  /** @param {number} position seconds at which the audio has ended */
  ended(position) {
    if (isEmpty(position)) return this.unplayable(position);
    const listed = Math.max(this.duration ?? 0, this.#state.duration ?? 0);
    if (position < COMPLETE * listed) this.#failedAt = position;
    if (this.isFollowing) return this.#takeover.start(TAKEOVER_DELAY);
    return this.#advance();
  }

  /**
   * Nothing more of the current track can be played here.
   * @param {number} position seconds
   * @param {boolean} [isMissing] whether the server has no such audio
   */
  unplayable(position, isMissing = false) {
    const title = this.track?.title ?? "A track that is gone";
    if (!this.#state.isPlaying) {
      const why = isMissing ? "is no longer there" : "cannot be played in this browser";
      if (!this.#problems.isShown) this.#problems.show(`“${title}” ${why}.`);
      return;
    }
    this.#failedAt = position;
    this.#problems.addFailure(title);
    if (this.sync.devices.length <= 1) this.#advance();
    else this.#takeover.start(this.isFollowing ? TAKEOVER_DELAY : ACTIVE_TAKEOVER_DELAY);
  }

  get #state() {
    return this.sync.state;
  }

  get #isOver() {
    return isOver(this.position, this.duration);
  }

  /** @type {import("./state.js").AudioPlace | undefined} */
  get #audioPlace() {
    const { audio } = this.#ports;
    const { trackId, isPlaying, playbackRate } = this.#state;
    const isOwn = audio.isPlaying || (audio.willPlay && !this.isFollowing);
    if (!isPlaying || !isOwn || trackId === null || !audio.holds(trackId)) return undefined;
    return { trackId, position: this.position, playbackRate };
  }

  /**
   * Move the audio to the state, once its track is known.
   * @param {State} before the former state
   * @param {Track} [sent] comes with some events
   */
  async #follow(before, sent) {
    const state = this.#state;
    const { trackId } = state;
    const isNew = state.rev !== before.rev || trackId !== before.trackId;
    if (isNew) this.forgetEnd();
    if (trackId === null) return this.#ports.onChanged();
    const known = this.track?.id === trackId ? this.track : this.#queue.find(trackId);
    const track = sent ?? known ?? (await this.#ports.loadTrack(trackId));
    if (state !== this.#state) return; // a newer one has come meanwhile
    this.track = track ?? null;
    this.#ports.onChanged();
    if (track === null && state.isPlaying) return this.unplayable(state.currentTime, true);
    if (!track) return;
    this.#moveAudio(isNew && state.isPlaying);
    const wasPlaying = before.isPlaying && before.trackId === trackId;
    if (wasPlaying && hasEnded(state) && !this.isFollowing) this.#advance();
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
   * Apply an action on the current track here at once, and then everywhere.
   * @param {Action["event"]} event
   * @param {number} position seconds
   * @param {number} [ifRev] of an automatic action, which gives way to any other
   */
  #act(event, position, ifRev) {
    this.forgetEnd();
    const isAutomatic = ifRev !== undefined;
    if (!isAutomatic) this.#problems.forgetFailures();
    const { track } = this;
    if (!track) return;
    const isTrackChange = track.id !== this.#state.trackId;
    const target = {
      trackId: track.id,
      currentTime: position,
      isPlaying: event === "playTrack",
      playbackRate: this.#queue.rateOf(track, this.#state),
      duration: isTrackChange ? track.duration : this.#state.duration,
    };
    const commandId = this.#ports.newId();
    this.sync.act(target, { event, commandId, isAutomatic, isTrackChange }, ifRev);
    this.#moveAudio(!isAutomatic);
    this.#ports.onChanged();
  }

  /** @param {boolean} isRetried whether a track that could not be played is loaded again */
  #moveAudio(isRetried) {
    const { currentTime, at, isPlaying, playbackRate } = this.#state;
    if (!this.track) return;
    const target = { position: currentTime, at, isPlaying, rate: playbackRate };
    this.#ports.audio.follow(this.track, { ...target, waits: !this.isFollowing }, isRetried);
  }

  /** Go on, unless another device plays what this one cannot. */
  #takeOver() {
    if (!this.#ports.connection.isConnected || !this.sync.isPlayedElsewhere) return this.#advance();
    if (!this.#problems.hasFailures) return;
    this.#problems.show(`“${this.track?.title}” plays elsewhere, but cannot be played here.`);
  }

  /** What was to follow the end of the current track has happened, or is not wanted any more. */
  forgetEnd() {
    this.#takeover.cancel();
    this.#failedAt = undefined;
    this.#isWaitingForLibrary = false;
  }

  /** Go on after the end of the track. Of several tabs that do so the server lets one. */
  #advance() {
    const { following } = this;
    const { isHopeless, hasFailures } = this.#problems;
    this.#isWaitingForLibrary = !this.#queue.isLoaded;
    if (this.#isWaitingForLibrary) return;
    if (following && !isHopeless) {
      if (hasFailures) this.#problems.showFailures("Skipped.");
      this.#start(following, this.#state.rev);
    } else if (this.#state.isPlaying) {
      this.#pauseAtEnd(isHopeless);
    }
    this.#ports.onChanged();
  }

  /** @param {boolean} isHopeless whether tracks follow, and none could be played */
  #pauseAtEnd(isHopeless) {
    const rest = isHopeless ? "Playback is paused." : "Nothing follows, so playback is paused.";
    if (this.#problems.hasFailures) {
      this.#problems.showFailures(rest);
      this.#problems.forgetFailures();
    } else if (this.#failedAt !== undefined) {
      const title = this.track?.title;
      this.#problems.show(`“${title}” ended early: its file is incomplete. ${rest}`);
    }
    const position = this.#failedAt ?? this.duration ?? this.position;
    const { rev } = this.#state;
    if (this.track) return this.#act("pauseTrack", position, rev);
    const target = { ...this.#state, isPlaying: false, currentTime: position };
    const kind = { event: /** @type {const} */ ("pauseTrack"), isAutomatic: true };
    this.sync.act(target, { ...kind, commandId: this.#ports.newId(), isTrackChange: false }, rev);
  }
}
