// @ts-check
/** The panel of the current track: title, cover, timeline, transport buttons and volume. */

import { coverUrl } from "./api.js";
import { find, setIcon, setNames, setText } from "./dom.js";
import { clockTime, spokenTime, withoutBidiControls } from "./format.js";
import { hueOf } from "./hue.js";
import { MediaControls } from "./media-controls.js";

/** Seconds that an arrow key moves the position. */
export const KEY_STEP = 5;
/** Milliseconds between two updates of the position. */
const UPDATE_INTERVAL = 250;
const VOLUME_KEY = "audiostream.volume";
const MUTED_KEY = "audiostream.muted";

/** @type {Record<string, number>} seconds */
const KEY_STEPS = {
  ArrowLeft: -KEY_STEP,
  ArrowDown: -KEY_STEP,
  ArrowRight: KEY_STEP,
  ArrowUp: KEY_STEP,
};

/** @typedef {import("./player.js").Player} Player */

export class NowPlaying {
  /** @type {Player | null} */
  #player = null;
  /** @type {string | null | undefined} null for no track, undefined before the first update */
  #shownTrack;
  #isDragging = false;
  #audio;
  #mediaControls = new MediaControls(() => this.#player);
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
    this.#toggle.addEventListener("click", () => this.#player?.toggle());
    this.#previous.addEventListener("click", () => this.#player?.previous());
    this.#next.addEventListener("click", () => this.#player?.next());
    this.#listen.addEventListener("click", () => this.#player?.unblock());
    this.#addTimelineListeners();
    this.#addVolumeListeners();
    setInterval(() => this.#showTime(), UPDATE_INTERVAL);
  }

  /** @param {Player | null} player what to show from now on */
  show(player) {
    this.#player = player;
    this.#shownTrack = undefined;
    this.update();
  }

  /** Show the player's state, which may have changed. */
  update() {
    const player = this.#player;
    if (!player) return;
    if ((player.track?.id ?? null) !== this.#shownTrack) this.#showTrack();
    const { isPlaying, isBlocked, following, track } = player;
    setIcon(this.#toggle, isPlaying ? "pause" : "play", isPlaying ? "Pause" : "Play");
    this.#toggle.disabled = !player.canPlay;
    this.#previous.disabled = !track;
    this.#next.disabled = !following;
    this.#listen.hidden = !isBlocked;
    setText(find("now-where"), player.isStalled ? "Waiting for the server" : "");
    this.#mediaControls.update(player);
    this.#showTime();
  }

  #showTrack() {
    const track = this.#player?.track ?? null;
    this.#shownTrack = track?.id ?? null;
    setText(find("now-title"), track ? track.title : "Nothing playing");
    const { artist, album } = track ?? { artist: "Choose a track to begin", album: undefined };
    setNames(find("now-by"), [artist, album]);
    find("now").dataset.empty = String(!track);
    document.documentElement.style.setProperty("--hue", String(hueOf(track)));
    const cover = find("cover", HTMLImageElement);
    cover.hidden = !track;
    if (track) cover.src = coverUrl(track);
    else cover.removeAttribute("src");
    document.title = track ? `${withoutBidiControls(track.title)} · audiostream` : "audiostream";
    this.#mediaControls.setTrack(track);
  }

  #showTime() {
    const player = this.#player;
    if (!player || this.#isDragging || document.hidden) return;
    const { duration } = player;
    this.#seek.disabled = !player.track || duration === undefined;
    this.#seek.max = String(duration ?? 0);
    this.#showPosition(player.position, duration);
  }

  /**
   * @param {number} position seconds
   * @param {number} [duration] seconds
   */
  #showPosition(position, duration) {
    const end = duration ?? 0;
    this.#seek.value = String(position);
    this.#seek.setAttribute("aria-valuetext", `${spokenTime(position)} of ${spokenTime(end)}`);
    setFill(this.#seek, end ? position / end : 0);
    setText(find("elapsed"), clockTime(position));
    setText(find("remaining"), end ? `−${clockTime(end - Math.floor(position))}` : "");
  }

  #addTimelineListeners() {
    const seek = this.#seek;
    seek.addEventListener("input", () => {
      this.#isDragging = true;
      this.#showPosition(seek.valueAsNumber, Number(seek.max));
    });
    seek.addEventListener("change", () => {
      this.#isDragging = false;
      this.#player?.seek(seek.valueAsNumber);
    });
    // A pointer that is released where it began changes nothing, and no "change" is fired.
    seek.addEventListener("pointerup", () => setTimeout(() => (this.#isDragging = false)));
    seek.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0 : KEY_STEPS[event.key];
      if (!step || !this.#player) return;
      event.preventDefault();
      this.#player.skip(step);
    });
  }

  #addVolumeListeners() {
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
}

/**
 * @param {HTMLInputElement} range
 * @param {number} share 0 to 1
 */
function setFill(range, share) {
  range.style.setProperty("--fill", `${Math.min(1, share) * 100}%`);
}
