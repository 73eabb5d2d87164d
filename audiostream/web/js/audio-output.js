// @ts-check
/**
 * What this tab lets be heard: an audio element that follows a target.
 *
 * Here: loading, seeking, playing, pausing, a browser that refuses sound, a stream that breaks or
 * falls silent, a file that cannot be played, and telling a person's hand on the hardware from our
 * own. Not here: why the target is what it is, and the server (player.js).
 *
 *     follow ── another track ──► src ── loadedmetadata ──► seek if far ──► play or pause
 *            └─ the same track ───────────────────────────► seek if far ──► play or pause
 *
 *     error, an early end, no sign of life ──► is the server there? ── yes ──► src, where it stopped
 *                                                ▲         │ no
 *                                                └─────────┘
 */

import { isServed, streamUrl } from "./api.js";

/** Seconds that the element may be away from its target before it is moved. */
const NEAR = 0.3;
/** Seconds before the end in which starting makes no sense: play() would begin anew. */
const VERY_END = 0.05;
/** Milliseconds between two reports: at most four a second. */
const REPORT_EVERY = 250;
/** Seconds of sound after which a stream that broke counts as repaired. */
const REPAIRED_AFTER = 1;
/** Times that a stream is loaded in vain before it is given up, where the server serves it. */
const MOST_LOADS = 3;
/** The same where the server answers, but does not serve it. */
const MOST_UNSERVED_LOADS = 5;
/** Milliseconds before a stream that is not served is loaded again. */
const RELOAD_DELAY = 600;
/** Milliseconds between two attempts to reach the server. */
const REACH_EVERY = 1_000;
/** Seconds before the duration in which the end of the audio is that of the track. */
const NEAR_END = 3;
/** Seconds that two loads of a file may end apart, which then has no more. */
const SAME_END = 1;
/**
 * Milliseconds without sound and without bytes after which the server is asked, doubled at each
 * further load: an outage says nothing to an element, which waits for ever.
 */
const STARVED_AFTER = 2_000;
/** Milliseconds between two looks for them. */
const WATCH_EVERY = 250;

const NETWORK_ERROR = 2;

/** @typedef {import("../client.js").Track} Track */

/**
 * Where the element shall be: `position` seconds at `at` (performance.now), moving if playing. One
 * that `waits` begins at `position` however long the loading takes.
 * @typedef {object} Target
 * @property {number} position
 * @property {number} at
 * @property {boolean} isPlaying
 * @property {number} rate
 * @property {boolean} waits
 */

/**
 * @typedef {object} Hooks
 * @property {(position: number) => void} onReport the audio plays and is at `position`
 * @property {(position: number) => void} onPlayed somebody started the element itself
 * @property {(position: number) => void} onPaused somebody paused the element itself
 * @property {(position: number) => void} onEnded the audio is over, which was heard until `position`
 * @property {() => void} onChanged position, duration or `isBlocked` may have changed
 * @property {(id: string) => Promise<Track | null | undefined>} renew the track with a fresh
 *     ticket, null if there is no such track, undefined where the server cannot be reached
 * @property {(position: number, isGone: boolean) => void} onUnplayable the server is there, and
 *     nothing more can be played from `position` on; `isGone` says that there is no such audio
 */

export class AudioOutput {
  /** Whether the browser wants to be touched before it plays. */
  isBlocked = false;
  #audio;
  #hooks;
  /** @type {string | null} */
  #trackId = null;
  /** @type {Target} */
  #target = { position: 0, at: 0, isPlaying: false, rate: 1, waits: false };
  #hasMetadata = false;
  #hasFailed = false;
  /** Loads in a row that brought no sound. */
  #attempts = 0;
  /** Grows with every load and question: what was awaited for an older one does not count any more. */
  #turn = 0;
  /** Where the current load began, in seconds. */
  #from = 0;
  /** Where sound was last seen, in seconds. */
  #heardUntil = 0;
  /** @type {number | undefined} */
  #retry;
  /** Whether the server is being asked, or cannot be reached. */
  #isRecovering = false;
  /** Whether that is as the element has given up. Else it may come to life by itself. */
  #isBroken = false;
  /** When the element last showed that it is alive, in performance.now, and what it looked like. */
  #aliveAt = 0;
  #looked = "";
  /** Where the audio of this track ended early, in seconds. */
  /** @type {number | undefined} */
  #endedAt;
  #reportedAt = 0;
  #listening = new AbortController();

  /**
   * @param {HTMLAudioElement} audio
   * @param {Hooks} hooks
   */
  constructor(audio, hooks) {
    this.#audio = audio;
    this.#hooks = hooks;
    const { signal } = this.#listening;
    audio.addEventListener("loadedmetadata", () => this.#arrive(), { signal });
    audio.addEventListener("timeupdate", () => this.#report(), { signal });
    audio.addEventListener("seeked", () => hooks.onChanged(), { signal });
    audio.addEventListener("play", () => this.#started(), { signal });
    audio.addEventListener("pause", () => this.#stopped(), { signal });
    audio.addEventListener("ended", () => this.#over(), { signal });
    audio.addEventListener("error", () => this.#break(), { signal });
    const watch = setInterval(() => this.#watch(), WATCH_EVERY);
    signal.addEventListener("abort", () => clearInterval(watch));
  }

  /** Whether the element is where a position can be read off it. */
  get isReady() {
    return this.#hasMetadata && !this.#hasFailed && !this.isBlocked;
  }

  get isSounding() {
    const { paused, ended } = this.#audio;
    return this.isReady && !paused && !ended;
  }

  /** Whether it sounds, or does so as soon as the server lets it. */
  get willSound() {
    const { paused, ended } = this.#audio;
    const isOver = paused || ended;
    const isHeld = this.isBlocked || this.#hasFailed || this.#trackId === null;
    return this.#target.isPlaying && !isHeld && !(this.isReady && isOver);
  }

  /** Whether nothing has come from the server for so long that a person wonders. */
  get isStarved() {
    return this.willSound && performance.now() - this.#aliveAt >= STARVED_AFTER;
  }

  /** Seconds: of the element where it is ready, else where it will go on. */
  get position() {
    return this.#hasMetadata ? this.#audio.currentTime : this.#target.position;
  }

  /**
   * @param {string | null} trackId
   * @returns {boolean} whether this track has a position here that nothing but sound will move
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
   * Make this track heard, or silent, at the target.
   * @param {Track} track
   * @param {Target} target
   * @param {boolean} isRetried whether a track that could not be played is tried once more
   */
  follow(track, target, isRetried) {
    this.#target = target;
    if (!target.isPlaying) this.#setBlocked(false);
    if (track.id !== this.#trackId || (isRetried && (this.#hasFailed || this.#isBroken))) {
      this.#attempts = 0;
      this.#endedAt = undefined;
      this.#load(track);
    } else if (this.#hasMetadata && !this.#hasFailed) {
      this.#settle(expected(target));
    }
  }

  /** Play what is to be played: call it while a person's touch is being handled. */
  listen() {
    this.#setBlocked(false);
    if (this.#target.isPlaying) this.#play();
  }

  /** The server is there again: do not wait any longer, if this is what the sound does. */
  retryNow() {
    if (this.#retry !== undefined) this.#recover();
  }

  /** Fall silent and let go of the element. */
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
    this.#aliveAt = performance.now();
    const address = new URL(streamUrl(track));
    // Chromium answers an address that it knows from memory, also where it could not play that.
    if (track.id === this.#trackId) address.searchParams.set("load", String(this.#turn));
    this.#trackId = track.id;
    this.#hasMetadata = false;
    this.#hasFailed = false;
    this.#from = this.#heardUntil = this.#target.position;
    this.#audio.src = address.href;
    // Some browsers let an element play only if asked while a touch is being handled.
    if (this.#target.isPlaying) this.#play();
  }

  #arrive() {
    this.#hasMetadata = true;
    this.#settle(this.#target.waits ? this.#target.position : expected(this.#target));
    this.#hooks.onChanged();
  }

  /** @param {number} wanted seconds */
  #settle(wanted) {
    const audio = this.#audio;
    const end = this.duration ?? Infinity;
    const position = Math.min(wanted, end);
    audio.playbackRate = this.#target.rate;
    if (Math.abs(audio.currentTime - position) > NEAR) audio.currentTime = position;
    this.#from = this.#heardUntil = position;
    if (!this.#target.isPlaying) audio.pause();
    else if (audio.currentTime < end - VERY_END) this.#play();
    else if (audio.paused) this.#beOver();
  }

  /** An element that does not play at its end never says that it is there. */
  #beOver() {
    const turn = this.#turn;
    setTimeout(() => {
      if (turn === this.#turn && this.#target.isPlaying && this.#audio.paused) this.#over();
    });
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
    if (!this.isSounding || this.#audio.seeking) return;
    this.#heardUntil = this.position;
    if (this.position > this.#from + REPAIRED_AFTER) this.#attempts = 0;
    if (now - this.#reportedAt < REPORT_EVERY) return;
    this.#reportedAt = now;
    this.#hooks.onReport(this.position);
  }

  #started() {
    const isOurs = this.#target.isPlaying || this.#audio.paused;
    if (!isOurs) this.#hooks.onPlayed(this.position);
  }

  #stopped() {
    const { paused, ended, error } = this.#audio;
    const isOurs = !this.#target.isPlaying || !paused;
    if (!isOurs && !ended && !error && this.isReady) this.#hooks.onPaused(this.position);
  }

  /**
   * A browser is also at the end where a file is shorter than it says, and some are where the
   * network broke: then another load has more.
   */
  #over() {
    if (!this.isReady) return;
    const { position, duration } = this;
    const heard = this.#heardUntil;
    if (this.#audio.error) return this.#stand(heard);
    const missing = Math.max(position, duration ?? 0) - heard;
    if (missing <= NEAR_END * this.#target.rate) return this.#hooks.onEnded(position);
    const isSame = Math.abs(heard - (this.#endedAt ?? Infinity)) <= SAME_END;
    if (isSame) return this.#hooks.onEnded(heard);
    this.#endedAt = heard;
    this.#stand(heard);
    this.#break();
  }

  /** Look for signs of life: sound, or bytes. */
  #watch() {
    const { buffered, currentTime, paused, readyState } = this.#audio;
    const last = buffered.length ? buffered.end(buffered.length - 1) : 0;
    const looks = [currentTime, last, readyState].join();
    const isAlive = looks !== this.#looked;
    this.#looked = looks;
    if (isAlive || paused || !this.willSound) this.#aliveAt = performance.now();
    if (isAlive && this.#isRecovering && !this.#isBroken) this.#forgetRecovery();
    const patience = STARVED_AFTER * 2 ** this.#attempts;
    if (this.#isRecovering || performance.now() - this.#aliveAt < patience) return;
    this.#recover();
    this.#hooks.onChanged();
  }

  #forgetRecovery() {
    this.#turn++;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#isRecovering = this.#isBroken = false;
  }

  /** No more bytes come of this load. Firefox plays on until it has none, and ends then. */
  #break() {
    if (!this.#trackId || this.#hasFailed) return;
    this.#isBroken = true;
    this.#recover();
  }

  /**
   * Go on from here, whenever that will be.
   * @param {number} position seconds
   */
  #stand(position) {
    if (this.#hasMetadata) this.#target = { ...this.#target, position, waits: true };
    this.#hasMetadata = false;
  }

  /**
   * The ticket in the address may have expired, the network may have broken, the file may be none.
   * Only what the server answers tells these apart: a browser has the same error for all of them,
   * and none for a network that is silent.
   */
  async #recover() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#isRecovering = true;
    const turn = ++this.#turn;
    const track = await this.#hooks.renew(this.#trackId ?? "");
    if (turn !== this.#turn) return;
    if (track === null) return this.#fail(true);
    if (track === undefined) {
      this.#retry = setTimeout(() => this.#recover(), REACH_EVERY);
      return;
    }
    this.#attempts += 1;
    if (this.#attempts === 1) return this.#reload(track);
    const is = await isServed(track);
    if (turn !== this.#turn) return;
    if (is === false) return this.#fail(true);
    const isFetched = is && this.#audio.error?.code !== NETWORK_ERROR;
    const isHopeless = this.#attempts >= (isFetched ? MOST_LOADS : MOST_UNSERVED_LOADS);
    // Out of sight a browser may put the loading off.
    if (isHopeless && (this.#isBroken || !document.hidden)) return this.#fail(false);
    setTimeout(() => turn === this.#turn && this.#reload(track), isFetched ? 0 : RELOAD_DELAY);
  }

  /** @param {Track} track the current one */
  #reload(track) {
    this.#stand(this.position);
    this.#load(track);
  }

  /** @param {boolean} isGone */
  #fail(isGone) {
    this.#stand(this.position);
    this.#forgetRecovery();
    this.#hasFailed = true;
    this.#audio.pause();
    this.#hooks.onUnplayable(this.#target.position, isGone);
  }
}

/**
 * @param {Target} target
 * @returns {number} where the target is now, in seconds
 */
function expected({ position, at, isPlaying, rate }) {
  return isPlaying ? position + ((performance.now() - at) / 1000) * rate : position;
}
