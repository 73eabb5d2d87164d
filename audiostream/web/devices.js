// @ts-check
/**
 * The user's devices: what each is doing, and a way to make this tab the one that leads.
 *
 * Here: showing what the server tells of them. Not here: what leading does (playback.js), when
 * the server is asked (player.js).
 */

import { counted, find, showNames } from "./page.js";

/**
 * @typedef {object} Device
 * @property {string} deviceId
 * @property {string | null} deviceName
 * @property {boolean} isActive whether it leads
 * @property {string | null} trackId
 * @property {boolean} isPlaying
 * @property {number | null} reportAge seconds since it last reported, null if it has not since it
 *     was told the state
 */

/**
 * @typedef {object} Hooks
 * @property {(id: string | null) => string} titleOf a track's title, empty if unknown
 * @property {() => void} onHere a person wants this tab to lead
 */

export class DeviceList {
  #own;
  #hooks;
  /** @type {Device[]} */
  #devices = [];
  #panel = find("devices", HTMLDetailsElement);
  #here = find("here", HTMLButtonElement);

  /**
   * @param {string} own this tab's id
   * @param {Hooks} hooks
   */
  constructor(own, hooks) {
    this.#own = own;
    this.#hooks = hooks;
    this.#here.addEventListener("click", () => hooks.onHere());
    addEventListener("click", ({ target }) => {
      if (!this.#panel.contains(/** @type {Node} */ (target))) this.#panel.open = false;
    });
    this.#panel.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.#panel.open = false;
      find("devices-count").focus();
    });
  }

  /** @param {Device[]} [devices] this tab among them; the same as before if left out */
  show(devices = this.#devices) {
    this.#devices = devices;
    if (!devices.length) return;
    const isOwn = (/** @type {Device} */ { deviceId }) => deviceId === this.#own;
    const sorted = [...devices].sort((one, other) => Number(isOwn(other)) - Number(isOwn(one)));
    this.#panel.hidden = false;
    find("devices-count").textContent = counted(devices.length, "device");
    find("devices-list").replaceChildren(...sorted.map((device) => this.#row(device)));
    const leader = devices.find(({ isActive }) => isActive);
    this.#here.disabled = !leader || isOwn(leader);
  }

  /** The server does not tell. */
  hide() {
    this.#devices = [];
    this.#panel.hidden = true;
    this.#panel.open = false;
  }

  /** @param {Device} device */
  #row({ deviceId, deviceName, isActive, trackId, isPlaying }) {
    const row = document.createElement("li");
    row.dataset.active = String(isActive);
    row.dataset.playing = String(isPlaying);
    const name = document.createElement("span");
    name.dir = "auto";
    name.textContent = deviceId === this.#own ? "This tab" : deviceName || "Unnamed device";
    const doing = document.createElement("span");
    const act = !trackId ? "Idle" : isPlaying ? "Playing" : "Paused";
    const title = this.#hooks.titleOf(trackId);
    showNames(doing, [act, title, isActive ? "leads" : ""]);
    row.append(name, doing);
    return row;
  }
}
