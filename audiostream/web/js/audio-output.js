// @ts-check
/**
 * The audio of this tab: an element that follows a target, and is loaded again where its stream
 * breaks or stalls.
 *
 *     follow ── another track ──► src ── loadedmetadata ──► seek if far ──► play or pause
 *            └─ the same track ───────────────────────────► seek if far ──► play or pause
 *
 *     error, an early end, a stall ──► is the server there? ── yes ──► src, where it stopped
 *                                          ▲         │ no
 *                                          └─────────┘
 */

import { isServed, streamUrl } from "./api.js";
import { AudioProgress } from "./audio-progress.js";
import { EndDetector } from "./player/end-detector.js";
import { targetPosition } from "./player/state.js";

/** Seconds that the element may be away from its target before it is moved. */
const MAX_DRIFT = 0.3;
/** Seconds before the end in which starting makes no sense: play() would begin anew. */
const VERY_END = 0.05;
/** Milliseconds between two reports: at most four a second. */
const REPORT_INTERVAL = 250;
/** Seconds of audio after which a stream that broke counts as repaired. */
const REPAIRED_AFTER = 1;
/** Loads without audio before a stream is given up that the server serves. */
const MAX_LOADS = 3;
/** The same where the server answers, but does not serve it. */
const MAX_UNSERVED_LOADS = 5;
/** Milliseconds before a stream that is not served is loaded again. */
const RELOAD_DELAY = 600;
/** Milliseconds between two attempts to reach the server. */
const RETRY_INTERVAL = 1_000;
/** Milliseconds between two looks at the progress of the element. */
const WATCH_INTERVAL = 250;

const NETWORK_ERROR = 2;

/** @typedef {import("../client.js").Track} Track */
/** @typedef {import("./player/ports.js").Target} Target */
/** @typedef {import("./player/ports.js").AudioHooks} Hooks */
/** @typedef {import("./player/ports.js").AudioPort} AudioPort */

/** @implements {AudioPort} */
export class AudioOutput {
  /** Whether the browser blocks audio until a user gesture. */
  isBlocked = false;
  #audio;
  #progress;
  #hooks;
  /** @type {string | null} */
  #trackId = null;
  /** @type {Target} */
  #target = { position: 0, at: 0, isPlaying: false, rate: 1, waits: false };
  #hasMetadata = false;
  #hasFailed = false;
  /** Loads in a row that brought no audio. */
  #loads = 0;
  /** Grows with every load and every request: what was awaited for an older one is ignored. */
  #generation = 0;
  /** Seconds at which the current load began. */
  #loadedFrom = 0;
  /** Seconds until which the audio has played. */
  #playedUntil = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** Whether the server is being asked, or cannot be reached. */
  #isRecovering = false;
  /** Whether the element has given up. Else it may recover by itself. */
  #isBroken = false;
  #endDetector = new EndDetector();
  #reportedAt = 0;
  #listening = new AbortController();

  /**
   * @param {HTMLAudioElement} audio
   * @param {Hooks} hooks
   */
  constructor(audio, hooks) {
    this.#audio = audio;
    this.#hooks = hooks;
    this.#progress = new AudioProgress(audio);
    const { signal } = this.#listening;
    const listeners = {
      loadedmetadata: () => this.#loaded(),
      timeupdate: () => this.#report(),
      seeked: () => hooks.onChanged(),
      play: () => this.#started(),
      pause: () => this.#paused(),
      ended: () => this.#ended(),
      error: () => this.#break(),
    };
    for (const [event, listener] of Object.entries(listeners)) {
      audio.addEventListener(event, listener, { signal });
    }
    const watch = setInterval(() => this.#watch(), WATCH_INTERVAL);
    signal.addEventListener("abort", () => clearInterval(watch));
  }

  /** Whether the element is where a position can be read off it. */
  get isReady() {
    return this.#hasMetadata && !this.#hasFailed && !this.isBlocked;
  }

  get isPlaying() {
    const { paused, ended } = this.#audio;
    return this.isReady && !paused && !ended;
  }

  /** Whether it plays, or does so as soon as the server lets it. */
  get willPlay() {
    const { paused, ended } = this.#audio;
    const isOver = paused || ended;
    const isHeld = this.isBlocked || this.#hasFailed || this.#trackId === null;
    return this.#target.isPlaying && !isHeld && !(this.isReady && isOver);
  }

  /** Whether the server has sent nothing for so long that the user is told. */
  get isStalled() {
    return this.willPlay && this.#progress.isStalled();
  }

  /** Seconds: of the element where it is ready, else where it will go on. */
  get position() {
    return this.#hasMetadata ? this.#audio.currentTime : this.#target.position;
  }

  /**
   * @param {string | null} trackId
   * @returns {boolean} whether this track has a position here that nothing but playing will move
   */
  holds(trackId) {
    return this.#trackId === trackId && (this.isReady || this.#target.waits);
  }

  /** Seconds, undefined while unknown. */
  get duration() {
    const { duration } = this.#audio;
    return this.#hasMetadata && Number.isFinite(duration) ? duration : undefined;
  }

  /**
   * Play, or pause, a track at the target.
   * @param {Track} track
   * @param {Target} target
   * @param {boolean} isRetried whether a track that could not be played is loaded again
   */
  follow(track, target, isRetried) {
    this.#target = target;
    if (!target.isPlaying) this.#setBlocked(false);
    if (track.id !== this.#trackId || (isRetried && (this.#hasFailed || this.#isBroken))) {
      this.#loads = 0;
      this.#endDetector.reset();
      this.#load(track);
    } else if (this.#hasMetadata && !this.#hasFailed) {
      this.#seekTo(targetPosition(target, performance.now()));
    }
  }

  /** Play what is to be played; call it in the handler of a user gesture. */
  unblock() {
    this.#setBlocked(false);
    if (this.#hasMetadata) this.#loaded(); // and so where the room is: it is reported next
    else if (this.#target.isPlaying) this.#play();
  }

  /** Ask the server now, if the audio waits for it: it is there again. */
  retryNow() {
    if (this.#retryTimer !== undefined) this.#recover();
  }

  /** Pause, and release the element. */
  stop() {
    this.#forgetRecovery();
    this.#listening.abort();
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
  }

  /** @param {Track} track */
  #load(track) {
    this.#forgetRecovery();
    this.#progress.reset();
    const url = new URL(streamUrl(track));
    // Chromium answers a URL that it knows from memory, even where it could not play that one.
    if (track.id === this.#trackId) url.searchParams.set("load", String(this.#generation));
    this.#trackId = track.id;
    this.#hasMetadata = false;
    this.#hasFailed = false;
    this.#loadedFrom = this.#playedUntil = this.#target.position;
    this.#audio.src = url.href;
    // Some browsers allow this only in the handler of a user gesture.
    if (this.#target.isPlaying) this.#play();
  }

  #loaded() {
    this.#hasMetadata = true;
    const { waits, position } = this.#target;
    this.#seekTo(waits ? position : targetPosition(this.#target, performance.now()));
    this.#hooks.onChanged();
  }

  /** @param {number} wanted seconds */
  #seekTo(wanted) {
    const audio = this.#audio;
    const end = this.duration ?? Infinity;
    const position = Math.min(wanted, end);
    audio.playbackRate = this.#target.rate;
    if (Math.abs(audio.currentTime - position) > MAX_DRIFT) audio.currentTime = position;
    this.#loadedFrom = this.#playedUntil = position;
    if (!this.#target.isPlaying) audio.pause();
    else if (audio.currentTime < end - VERY_END) this.#play();
    else if (audio.paused) this.#endLater();
  }

  /** An element that does not play at its end never fires "ended". */
  #endLater() {
    const generation = this.#generation;
    const isAtEnd = () => generation === this.#generation && this.#target.isPlaying;
    setTimeout(() => isAtEnd() && this.#audio.paused && this.#ended());
  }

  #play() {
    if (!this.#audio.paused) return;
    this.#audio.play().then(
      () => this.#setBlocked(false),
      (error) => {
        if (error.name === "NotAllowedError" && this.#target.isPlaying) this.#setBlocked(true);
      },
    );
  }

  /** @param {boolean} isBlocked */
  #setBlocked(isBlocked) {
    if (isBlocked === this.isBlocked) return;
    this.isBlocked = isBlocked;
    this.#hooks.onChanged();
  }

  #report() {
    this.#hooks.onChanged();
    const now = performance.now();
    if (!this.isPlaying || this.#audio.seeking) return;
    this.#playedUntil = this.position;
    if (this.position > this.#loadedFrom + REPAIRED_AFTER) this.#loads = 0;
    if (now - this.#reportedAt < REPORT_INTERVAL) return;
    this.#reportedAt = now;
    this.#hooks.onPlaying(this.position);
  }

  #started() {
    const isOwn = this.#target.isPlaying || this.#audio.paused;
    if (!isOwn) this.#hooks.onToggled(true, this.position);
  }

  #paused() {
    const { paused, ended, error } = this.#audio;
    const isOwn = !this.#target.isPlaying || !paused;
    if (!isOwn && !ended && !error && this.isReady) this.#hooks.onToggled(false, this.position);
  }

  #ended() {
    if (!this.isReady) return;
    const { position, duration } = this;
    const played = this.#playedUntil;
    if (this.#audio.error) return this.#waitAt(played);
    const end = this.#endDetector.endOf({ position, duration, played, rate: this.#target.rate });
    if (end !== undefined) return this.#hooks.onEnded(end);
    this.#waitAt(played);
    this.#break();
  }

  #watch() {
    const isProgress = this.#progress.look(this.willPlay);
    if (isProgress && this.#isRecovering && !this.#isBroken) this.#forgetRecovery();
    if (this.#isRecovering || !this.#progress.isStalled(this.#loads)) return;
    this.#recover();
    this.#hooks.onChanged();
  }

  #forgetRecovery() {
    this.#generation++;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#isRecovering = this.#isBroken = false;
  }

  /** This load brings no more bytes. Firefox plays on until it has none, and ends then. */
  #break() {
    if (!this.#trackId || this.#hasFailed) return;
    this.#isBroken = true;
    this.#recover();
  }

  /**
   * Go on from this position once a load has succeeded.
   * @param {number} position seconds
   */
  #waitAt(position) {
    if (this.#hasMetadata) this.#target = { ...this.#target, position, waits: true };
    this.#hasMetadata = false;
  }

  /**
   * The ticket in the URL may have expired, the network may be down, the file may hold no audio. Only
   * the server's answers tell these apart: an element has one error for all of them, and none for a
   * network that is down.
   */
  async #recover() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#isRecovering = true;
    const generation = ++this.#generation;
    const track = await this.#hooks.loadTrack(this.#trackId ?? "");
    if (generation !== this.#generation) return;
    if (track === null) return this.#fail(true);
    if (track === undefined) {
      this.#retryTimer = setTimeout(() => this.#recover(), RETRY_INTERVAL);
      return;
    }
    this.#loads += 1;
    if (this.#loads === 1) return this.#reload(track);
    const isThere = await isServed(track);
    if (generation !== this.#generation) return;
    if (isThere === false) return this.#fail(true);
    const isFetched = isThere && this.#audio.error?.code !== NETWORK_ERROR;
    const isHopeless = this.#loads >= (isFetched ? MAX_LOADS : MAX_UNSERVED_LOADS);
    // A browser may delay the loading of a hidden page.
    if (isHopeless && (this.#isBroken || !document.hidden)) return this.#fail(false);
    const reload = () => generation === this.#generation && this.#reload(track);
    setTimeout(reload, isFetched ? 0 : RELOAD_DELAY);
  }

  /** @param {Track} track the current one */
  #reload(track) {
    this.#waitAt(this.position);
    this.#load(track);
  }

  /** @param {boolean} isMissing */
  #fail(isMissing) {
    this.#waitAt(this.position);
    this.#forgetRecovery();
    this.#hasFailed = true;
    this.#audio.pause();
    this.#hooks.onUnplayable(this.#target.position, isMissing);
  }
}
