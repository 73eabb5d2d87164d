// @ts-check
/** The volume of this page: its slider, its mute button, and the fade of the sleep timer. */

import { find, setFill, setIcon } from "./dom.js";

const VOLUME_KEY = "audiostream.volume";
const MUTED_KEY = "audiostream.muted";

export class Volume {
  #audio;
  /** The user's, 0 to 1; the element's is lower during a fade. */
  #level;
  #fade = 1;
  #mute = find("mute", HTMLButtonElement);
  #slider = find("volume", HTMLInputElement);

  /** @param {HTMLAudioElement} audio gets the volume that this device had last */
  constructor(audio) {
    this.#audio = audio;
    this.#level = storedLevel();
    audio.volume = this.#level;
    audio.muted = localStorage.getItem(MUTED_KEY) === "true";
    this.#slider.addEventListener("input", () => {
      this.set({ volume: this.#slider.valueAsNumber / 100, muted: false });
    });
    this.#mute.addEventListener("click", () => this.toggleMuted());
    audio.addEventListener("volumechange", () => {
      if (this.#fade === 1) this.#level = audio.volume;
      this.#show();
    });
    this.#show();
  }

  /** The user's, 0 to 1: a fade does not change it. */
  get level() {
    return this.#level;
  }

  get isMuted() {
    return this.#audio.muted;
  }

  /**
   * Whether the page can set a volume. On iOS the buttons of the device alone set that of media,
   * which reads as 1.
   */
  get canBeSet() {
    const { volume } = this.#audio;
    const other = volume < 0.5 ? 1 : 0.25;
    this.#audio.volume = other;
    const isSet = this.#audio.volume === other;
    this.#audio.volume = volume;
    return isSet;
  }

  /** @param {{ volume?: number, muted?: boolean }} change what is left out stays as it is */
  set({ volume = this.#level, muted = this.#audio.muted }) {
    this.#level = volume;
    this.#audio.volume = volume * this.#fade;
    this.#audio.muted = muted;
    this.#show();
  }

  /**
   * @param {() => void} onChanged called when the level may have changed
   * @param {AbortSignal} [signal] ends that
   */
  watch(onChanged, signal) {
    this.#audio.addEventListener("volumechange", onChanged, { signal });
  }

  toggleMuted() {
    this.#audio.muted = !this.#audio.muted;
  }

  /** @param {number} share of the user's volume that sounds, 0 to 1 */
  fade(share) {
    if (share === this.#fade) return;
    this.#fade = share;
    this.#audio.volume = this.#level * share;
  }

  #show() {
    const { muted } = this.#audio;
    const percent = Math.round(this.#level * 100);
    localStorage.setItem(VOLUME_KEY, String(this.#level));
    localStorage.setItem(MUTED_KEY, String(muted));
    this.#slider.value = String(percent);
    this.#slider.setAttribute("aria-valuetext", muted ? "muted" : `${percent} percent`);
    setFill(this.#slider, muted ? 0 : this.#level);
    setIcon(this.#mute, muted || percent === 0 ? "muted" : "sound", "Mute this tab");
    this.#mute.setAttribute("aria-pressed", String(muted));
  }
}

/** @returns {number} 0 to 1 */
function storedLevel() {
  const stored = Number(localStorage.getItem(VOLUME_KEY) ?? 1);
  return stored >= 0 && stored <= 1 ? stored : 1;
}
