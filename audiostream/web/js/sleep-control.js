// @ts-check
/** The control of the sleep timer, which shows what is left. */

import { find, setText } from "./dom.js";
import { clockTime, counted } from "./format.js";
import { SleepTimer } from "./sleep-timer.js";

const MINUTES = [5, 10, 15, 20, 30, 45, 60, 90];
const TRACK = "track";
const OFF = "off";

/** @typedef {import("./player.js").Player} Player */

/**
 * @typedef {object} Hooks
 * @property {() => Player | null} current the player to pause
 * @property {(share: number) => void} onFade
 * @property {() => void} onEnded the timer has paused the playback
 */

export class SleepControl {
  #hooks;
  #timer;
  #select = find("sleep", HTMLSelectElement);
  #off = new Option("Off", OFF);

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#timer = new SleepTimer({
      now: () => performance.now(),
      onFade: hooks.onFade,
      onEnd: () => this.#pause(),
    });
    const spans = MINUTES.map((span) => new Option(counted(span, "minute"), String(span)));
    this.#select.append(this.#off, ...spans, new Option("End of track", TRACK));
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
  }

  /** Pause if the time has come, and show what is left; call it a few times a second. */
  update() {
    const player = this.#hooks.current();
    if (player) this.#timer.look(player);
    else if (this.#timer.isRunning) this.#timer.cancel();
    const { isRunning, isOfTrack, remaining } = this.#timer;
    const left = remaining === null ? "" : clockTime(Math.ceil(remaining));
    setText(find("sleep-shown"), !isRunning ? "Sleep" : left || "End of track");
    this.#select.closest(".chip")?.classList.toggle("is-on", isRunning);
    setText(this.#off, isRunning ? "Cancel the timer" : "Off");
    if (!isRunning) this.#select.value = OFF;
    const until = isOfTrack ? "at the end of the track" : `in ${counted(minutesOf(remaining), "minute")}`;
    const label = isRunning ? `Sleep timer: pauses ${until}` : "Sleep timer";
    if (this.#select.ariaLabel !== label) this.#select.ariaLabel = label;
  }

  /** @param {string} span minutes, the end of the track, or off */
  #choose(span) {
    if (span === OFF) this.#timer.cancel();
    else this.#timer.start(span === TRACK ? TRACK : Number(span));
    this.update();
  }

  #pause() {
    const player = this.#hooks.current();
    if (!player?.isPlaying) return;
    player.pause();
    this.#hooks.onEnded();
  }
}

/** @param {number | null} seconds */
function minutesOf(seconds) {
  return Math.ceil((seconds ?? 0) / 60);
}
