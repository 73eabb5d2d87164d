// @ts-check
/**
 * The panel of what is playing: title, cover, timeline, transport, volume, and the same for the
 * system's media controls.
 *
 * Here: showing the playback and passing a person's hand on to it. Not here: what these acts do
 * (playback.js), the list of tracks (tracklist.js).
 */

import { coverAddress } from "./catalogue.js";
import { hueOf } from "./cover.js";
import { clock, find, inWords, setIcon, showNames, withoutTurns } from "./page.js";

/** Seconds that an arrow key moves the position. */
const KEY_STEP = 5;
/** Seconds that a headset or a lock screen moves it, unless it says how many. */
const SKIP = 10;
/** Milliseconds between two looks at the position while nothing else asks for one. */
const TICK = 250;
const VOLUME_KEY = "audiostream.volume";
const MUTED_KEY = "audiostream.muted";

/** @typedef {import("./playback.js").Playback} Playback */

export class NowPlaying {
  /** @type {Playback | null} */
  #playback = null;
  /** The id, null for no track, undefined before anything is shown. */
  /** @type {string | null | undefined} */
  #shownTrack;
  /** All devices that are connected, null where the server does not tell. */
  /** @type {import("./devices.js").Device[] | null} */
  #devices = null;
  #isDragging = false;
  #audio;
  #seek = find("seek", HTMLInputElement);
  #toggle = find("toggle", HTMLButtonElement);
  #previous = find("previous", HTMLButtonElement);
  #next = find("next", HTMLButtonElement);
  #listen = find("listen", HTMLButtonElement);
  #mute = find("mute", HTMLButtonElement);
  #volume = find("volume", HTMLInputElement);

  /** @param {HTMLAudioElement} audio */
  constructor(audio) {
    this.#audio = audio;
    this.#toggle.addEventListener("click", () => this.#playback?.toggle());
    this.#previous.addEventListener("click", () => this.#playback?.previous());
    this.#next.addEventListener("click", () => this.#playback?.next());
    this.#listen.addEventListener("click", () => this.#playback?.listen());
    this.#offerTimeline();
    this.#offerVolume();
    this.#offerMediaControls();
    this.#offerKeys();
    setInterval(() => this.#showTime(), TICK);
  }

  /** @param {Playback | null} playback what to show from now on */
  show(playback) {
    this.#playback = playback;
    this.#shownTrack = undefined;
    this.update();
  }

  /** @param {import("./devices.js").Device[] | null} devices null where the server does not tell */
  setDevices(devices) {
    this.#devices = devices;
    this.update();
  }

  /** Something about the playback may have changed. */
  update() {
    const playback = this.#playback;
    if (!playback) return;
    if ((playback.track?.id ?? null) !== this.#shownTrack) this.#showTrack();
    const { isPlaying, isBlocked, isFollowing, following, track } = playback;
    setIcon(this.#toggle, isPlaying ? "pause" : "play", isPlaying ? "Pause" : "Play");
    this.#toggle.disabled = !playback.canPlay;
    this.#previous.disabled = !track;
    this.#next.disabled = !following;
    this.#listen.hidden = !isBlocked;
    // Who led may be gone: then nobody is active.
    const isLed = isFollowing && (this.#devices?.some(({ isActive }) => isActive) ?? true);
    const where = isPlaying && isLed ? "Started on another tab or device" : "";
    setText(find("now-where"), playback.isStarved ? "Waiting for the server" : where);
    if ("mediaSession" in navigator) {
      navigator.mediaSession.playbackState = !track ? "none" : isPlaying ? "playing" : "paused";
      this.#tellPosition(playback);
    }
    this.#showTime();
  }

  /** @param {Playback} playback */
  #tellPosition({ track, duration, position, rate }) {
    const state = track && duration ? { duration, position: within(position, duration) } : null;
    navigator.mediaSession.setPositionState(state ? { ...state, playbackRate: rate } : undefined);
  }

  #showTrack() {
    const track = this.#playback?.track ?? null;
    this.#shownTrack = track?.id ?? null;
    setText(find("now-title"), track ? track.title : "Nothing playing");
    const { artist, album } = track ?? { artist: "Choose a track to begin" };
    showNames(find("now-by"), [artist, album]);
    find("now").dataset.empty = String(!track);
    document.documentElement.style.setProperty("--hue", String(hueOf(track)));
    const cover = find("cover", HTMLImageElement);
    cover.hidden = !track;
    if (track) cover.src = coverAddress(track);
    else cover.removeAttribute("src");
    document.title = track ? `${withoutTurns(track.title)} · audiostream` : "audiostream";
    if ("mediaSession" in navigator) {
      navigator.mediaSession.metadata = track && metadata(track);
    }
  }

  #showTime() {
    const playback = this.#playback;
    if (!playback || this.#isDragging || document.hidden) return;
    const { duration } = playback;
    this.#seek.disabled = !playback.track || duration === undefined;
    this.#seek.max = String(duration ?? 0);
    this.#showPosition(playback.position, duration);
  }

  /**
   * @param {number} position seconds
   * @param {number} [duration] seconds
   */
  #showPosition(position, duration) {
    const end = duration ?? 0;
    this.#seek.value = String(position);
    this.#seek.setAttribute("aria-valuetext", `${inWords(position)} of ${inWords(end)}`);
    setFill(this.#seek, end ? position / end : 0);
    setText(find("elapsed"), clock(position));
    setText(find("remaining"), end ? `−${clock(end - Math.floor(position))}` : "");
  }

  #offerTimeline() {
    const seek = this.#seek;
    seek.addEventListener("input", () => {
      this.#isDragging = true;
      this.#showPosition(seek.valueAsNumber, Number(seek.max));
    });
    seek.addEventListener("change", () => {
      this.#isDragging = false;
      this.#playback?.seek(seek.valueAsNumber);
    });
    // A hand that lets go where it began changes nothing, and no "change" is fired.
    seek.addEventListener("pointerup", () => setTimeout(() => (this.#isDragging = false)));
    seek.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0 : KEY_STEPS[event.key];
      if (!step || !this.#playback) return;
      event.preventDefault();
      this.#skip(step);
    });
  }

  #offerVolume() {
    const audio = this.#audio;
    audio.volume = Number(sessionStorage.getItem(VOLUME_KEY) ?? 1);
    audio.muted = sessionStorage.getItem(MUTED_KEY) === "true";
    this.#volume.addEventListener("input", () => {
      audio.volume = this.#volume.valueAsNumber / 100;
      audio.muted = false;
    });
    this.#mute.addEventListener("click", () => (audio.muted = !audio.muted));
    audio.addEventListener("volumechange", () => this.#showVolume());
    this.#showVolume();
  }

  #showVolume() {
    const { volume, muted } = this.#audio;
    const percent = Math.round(volume * 100);
    sessionStorage.setItem(VOLUME_KEY, String(volume));
    sessionStorage.setItem(MUTED_KEY, String(muted));
    this.#volume.value = String(percent);
    this.#volume.setAttribute("aria-valuetext", muted ? "muted" : `${percent} percent`);
    setFill(this.#volume, muted ? 0 : volume);
    setIcon(this.#mute, muted || volume === 0 ? "muted" : "sound", "Mute this tab");
    this.#mute.setAttribute("aria-pressed", String(muted));
  }

  /** Keys that act wherever the focus is, unless it is where they mean something else. */
  #offerKeys() {
    let isPointed = false;
    addEventListener("pointerdown", () => (isPointed = true), true);
    addEventListener("keydown", ({ key }) => (isPointed &&= key !== "Tab"), true);
    addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
      const playback = this.#playback;
      if (!playback || isTaken(event, isPointed)) return;
      const act = {
        " ": () => playback.toggle(),
        ArrowLeft: () => (event.shiftKey ? playback.previous() : this.#skip(-KEY_STEP)),
        ArrowRight: () => (event.shiftKey ? playback.next() : this.#skip(KEY_STEP)),
        "/": () => find("search").focus(),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      const isOnce = event.key === " " || event.shiftKey;
      if (!(isOnce && event.repeat)) act();
    });
  }

  /** @param {number} step seconds */
  #skip(step) {
    const playback = this.#playback;
    playback?.seek(playback.position + step);
  }

  #offerMediaControls() {
    if (!("mediaSession" in navigator)) return;
    const session = navigator.mediaSession;
    session.setActionHandler("play", () => this.#playback?.play());
    session.setActionHandler("pause", () => this.#playback?.pause());
    session.setActionHandler("previoustrack", () => this.#playback?.previous());
    session.setActionHandler("nexttrack", () => this.#playback?.next());
    session.setActionHandler("seekto", ({ seekTime }) => this.#playback?.seek(seekTime ?? 0));
    session.setActionHandler("seekbackward", ({ seekOffset }) => this.#skip(-(seekOffset ?? SKIP)));
    session.setActionHandler("seekforward", ({ seekOffset }) => this.#skip(seekOffset ?? SKIP));
  }
}

/** @type {Record<string, number>} */
const KEY_STEPS = {
  ArrowLeft: -KEY_STEP,
  ArrowDown: -KEY_STEP,
  ArrowRight: KEY_STEP,
  ArrowUp: KEY_STEP,
};

/**
 * Whether a key means something to what has the focus. A button that was clicked on is not where
 * the space bar is expected to act: only one that the keyboard has come to.
 * @param {KeyboardEvent} event
 * @param {boolean} isPointed whether the focus was last moved by a pointer
 */
function isTaken({ target, key }, isPointed) {
  const element = /** @type {Element} */ (target);
  if (element.closest("#seek")) return false; // what it takes, it has prevented
  if (element.closest("input[type=range]")) return /^Arrow/.test(key);
  if (element.closest("input, textarea, select")) return true;
  return key === " " && !isPointed && element.closest("button, summary") !== null;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {HTMLInputElement} range
 * @param {number} share 0 to 1
 */
function setFill(range, share) {
  range.style.setProperty("--fill", `${Math.min(1, share) * 100}%`);
}

/**
 * @param {number} position seconds
 * @param {number} duration seconds
 */
function within(position, duration) {
  return Math.max(0, Math.min(position, duration));
}

/** @param {import("./catalogue.js").Track} track */
function metadata(track) {
  const { title, artist, album } = track;
  return new MediaMetadata({ title, artist, album, artwork: [{ src: coverAddress(track) }] });
}
