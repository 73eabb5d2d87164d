// @ts-check
/** A mute button and a slider for the volume of one device, which may be another one. */

import { setIcon } from "../dom.js";
import { throttled } from "./throttle.js";

/** Milliseconds between two volumes that are sent while a slider moves. */
const SEND_INTERVAL = 250;
/** Milliseconds after the user's last input in which a reported volume does not move the slider. */
const HELD = 1_500;

/** @typedef {{ volume?: number, muted?: boolean }} Change 0 to 1 */

/**
 * @typedef {object} Loudness
 * @property {string} name of the device
 * @property {number | null} volume 0 to 1, null where the device has reported none
 * @property {boolean | null} muted
 */

export class VolumeControl {
  #mute;
  #slider;
  /** @type {Loudness} */
  #shown = { name: "", volume: null, muted: null };
  /** In milliseconds of performance.now. */
  #heldUntil = 0;
  #send;

  /**
   * @param {HTMLButtonElement} mute
   * @param {HTMLInputElement} slider
   * @param {(change: Change) => void} onChange what the user wants
   */
  constructor(mute, slider, onChange) {
    this.#mute = mute;
    this.#slider = slider;
    this.#send = throttled(onChange, SEND_INTERVAL);
    mute.addEventListener("click", () => onChange({ muted: this.#shown.muted !== true }));
    slider.addEventListener("input", () => this.#slid());
  }

  /** @param {Loudness} loudness */
  show(loudness) {
    const { name, volume, muted } = loudness;
    if (name !== this.#shown.name) this.#heldUntil = 0;
    this.#shown = loudness;
    const isSilent = muted === true || volume === 0;
    this.#mute.hidden = muted === null;
    setIcon(this.#mute, isSilent ? "muted" : "sound", `Mute ${name}`);
    this.#mute.setAttribute("aria-pressed", String(muted === true));
    this.#slider.hidden = volume === null;
    this.#slider.setAttribute("aria-label", `Volume of ${name}`);
    if (performance.now() < this.#heldUntil) return;
    this.#slider.value = String(Math.round((volume ?? 0) * 100));
    this.#fill(muted === true);
  }

  /** @param {boolean} isMuted */
  #fill(isMuted) {
    const percent = this.#slider.valueAsNumber;
    this.#slider.setAttribute("aria-valuetext", isMuted ? "muted" : `${percent} percent`);
    this.#slider.style.setProperty("--fill", `${isMuted ? 0 : percent}%`);
  }

  #slid() {
    this.#heldUntil = performance.now() + HELD;
    this.#fill(false);
    this.#send({ volume: this.#slider.valueAsNumber / 100, muted: false });
    // The device may have been set to another volume than the user wanted.
    setTimeout(() => this.show(this.#shown), HELD + 1);
  }
}
