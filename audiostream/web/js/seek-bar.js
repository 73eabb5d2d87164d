// @ts-check
/** The seek bar: the position, what is buffered, and the time under the pointer. */

import { find, setFill, setText } from "./dom.js";
import { clockTime, spokenTime } from "./format.js";

/** Seconds that an arrow key moves the position. */
export const KEY_STEP = 5;
/** Pixels of the slider's thumb: its centre stays half of them within the bar. */
const THUMB = 14;

/** @type {Record<string, number>} seconds */
const KEY_STEPS = {
  ArrowLeft: -KEY_STEP,
  ArrowDown: -KEY_STEP,
  ArrowRight: KEY_STEP,
  ArrowUp: KEY_STEP,
};

/** @typedef {import("./player.js").Player} Player */

export class SeekBar {
  #audio;
  #current;
  #isDragging = false;
  #bar = find("seek", HTMLInputElement);
  #pointed = find("pointed");

  /**
   * @param {HTMLAudioElement} audio whose buffered part is shown
   * @param {() => Player | null} current the player to show and to seek in
   */
  constructor(audio, current) {
    this.#audio = audio;
    this.#current = current;
    const bar = this.#bar;
    bar.addEventListener("input", () => {
      this.#isDragging = true;
      this.#showPosition(bar.valueAsNumber, Number(bar.max));
      setText(this.#pointed, clockTime(bar.valueAsNumber));
    });
    bar.addEventListener("change", () => {
      this.#isDragging = false;
      this.#current()?.seek(bar.valueAsNumber);
    });
    // A pointer that is released where it began changes nothing, and no "change" is fired.
    bar.addEventListener("pointerup", () => setTimeout(() => (this.#isDragging = false)));
    bar.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0 : KEY_STEPS[event.key];
      if (!step || !this.#current()) return;
      event.preventDefault();
      this.#current()?.skip(step);
    });
    bar.addEventListener("pointermove", ({ clientX }) => this.#showPointed(clientX));
    for (const event of ["pointerleave", "pointercancel"]) {
      bar.addEventListener(event, () => (this.#pointed.hidden = true));
    }
    bar.addEventListener("pointerup", ({ pointerType }) => {
      if (pointerType !== "mouse") this.#pointed.hidden = true;
    });
  }

  /** Show the player's position, unless the user moves it. */
  update() {
    const player = this.#current();
    if (!player || this.#isDragging || document.hidden) return;
    const { duration } = player;
    this.#bar.disabled = !player.track || duration === undefined;
    this.#bar.max = String(duration ?? 0);
    this.#showPosition(player.position, duration);
    const end = bufferedUntil(this.#audio);
    setFill(this.#bar, duration && end ? end / duration : 0, "--buffered");
  }

  /**
   * @param {number} position seconds
   * @param {number} [duration] seconds
   */
  #showPosition(position, duration) {
    const end = duration ?? 0;
    this.#bar.value = String(position);
    this.#bar.setAttribute("aria-valuetext", `${spokenTime(position)} of ${spokenTime(end)}`);
    setFill(this.#bar, end ? position / end : 0);
    setText(find("elapsed"), clockTime(position));
    setText(find("remaining"), end ? `−${clockTime(end - Math.floor(position))}` : "");
  }

  /** @param {number} clientX of the pointer */
  #showPointed(clientX) {
    const { left, width } = this.#bar.getBoundingClientRect();
    const share = shareAt(clientX - left, width);
    this.#pointed.hidden = this.#bar.disabled;
    const time = this.#isDragging ? this.#bar.valueAsNumber : share * Number(this.#bar.max);
    setText(this.#pointed, clockTime(time));
    this.#pointed.style.setProperty("--at", `${THUMB / 2 + share * (width - THUMB)}px`);
  }
}

/**
 * @param {number} x pixels from the left end of a slider
 * @param {number} width pixels of the slider
 * @returns {number} the share of its range that lies there, 0 to 1
 */
export function shareAt(x, width) {
  return Math.min(1, Math.max(0, (x - THUMB / 2) / (width - THUMB)));
}

/**
 * @param {Pick<HTMLMediaElement, "buffered" | "currentTime">} audio
 * @returns {number} seconds until which it can play without the network, 0 for nothing
 */
export function bufferedUntil({ buffered, currentTime }) {
  for (let index = 0; index < buffered.length; index++) {
    const isHere = buffered.start(index) <= currentTime && currentTime <= buffered.end(index);
    if (isHere) return buffered.end(index);
  }
  return 0;
}
