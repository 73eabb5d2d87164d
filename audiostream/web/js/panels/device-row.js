// @ts-check
/** One device in the device panel: what it plays, its volume, and how to play on it. */

import { find, setNames, setText } from "../dom.js";
import { VolumeControl } from "./volume-control.js";

/** What the page's own device is called. */
export const OWN = "This device";

/**
 * @typedef {object} DeviceView what a row shows
 * @property {string} deviceId
 * @property {string} name
 * @property {string} title of its track, empty if unknown
 * @property {boolean} isOwn whether it is this page
 * @property {boolean} isActive
 * @property {boolean} isPlaying
 * @property {number | null} volume 0 to 1, null where the device has reported none
 * @property {boolean | null} muted
 */

/**
 * @typedef {object} Hooks
 * @property {(device: DeviceView) => void} onPlay make the device the active one
 * @property {(device: DeviceView, change: import("./volume-control.js").Change) => void} onVolume
 */

export class DeviceRow {
  /** @type {HTMLLIElement} */
  element;
  /** @type {DeviceView | undefined} */
  #device;
  #name;
  #activity;
  #play;
  #volume;

  /** @param {Hooks} hooks */
  constructor({ onPlay, onVolume }) {
    const { content } = find("device-row", HTMLTemplateElement);
    const copy = /** @type {DocumentFragment} */ (content.cloneNode(true));
    this.element = part(copy, "li", HTMLLIElement);
    this.#name = part(copy, ".name", HTMLElement);
    this.#activity = part(copy, ".activity", HTMLElement);
    this.#play = part(copy, ".play-on", HTMLButtonElement);
    this.#play.addEventListener("click", () => this.#device && onPlay(this.#device));
    const mute = part(copy, ".mute", HTMLButtonElement);
    const slider = part(copy, "input", HTMLInputElement);
    this.#volume = new VolumeControl(mute, slider, (change) => {
      if (this.#device) onVolume(this.#device, change);
    });
  }

  /** @param {DeviceView} device */
  show(device) {
    this.#device = device;
    const { name, title, isOwn, isActive, isPlaying } = device;
    this.element.dataset.active = String(isActive);
    setNames(this.#name, [isOwn ? OWN : name]);
    const activity = !isActive ? "" : !title ? "Active" : isPlaying ? "Playing" : "Paused";
    setNames(this.#activity, [isOwn ? name : "", activity, isActive ? title : ""]);
    setText(this.#play, isOwn ? "Play here" : `Play on ${name}`);
    const hadFocus = document.activeElement === this.#play;
    this.#play.hidden = isActive;
    if (hadFocus && isActive) this.element.focus(); // else nothing has it
    this.#volume.show(device);
  }
}

/**
 * @template {Element} E
 * @param {DocumentFragment} fragment
 * @param {string} selector
 * @param {new () => E} kind
 * @returns {E}
 */
function part(fragment, selector, kind) {
  const element = fragment.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`index.html lacks ${selector}`);
  return element;
}
