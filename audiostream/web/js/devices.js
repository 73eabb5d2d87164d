// @ts-check
/** The list of the user's devices, and the button that makes this tab the active one. */

import { find, setNames } from "./dom.js";
import { counted } from "./format.js";

/** @typedef {import("../client.js").Devices["devices"][number]} Device */

/**
 * @typedef {object} Hooks
 * @property {(id: string | null) => string} titleOf a track's title, empty if unknown
 * @property {() => void} onPlayHere the user makes this tab the active device
 */

export class DeviceList {
  #ownId;
  #hooks;
  /** @type {Device[]} */
  #devices = [];
  #panel = find("devices", HTMLDetailsElement);
  #playHere = find("here", HTMLButtonElement);

  /**
   * @param {string} ownId this tab's
   * @param {Hooks} hooks
   */
  constructor(ownId, hooks) {
    this.#ownId = ownId;
    this.#hooks = hooks;
    this.#playHere.addEventListener("click", () => hooks.onPlayHere());
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
    const isOwn = (/** @type {Device} */ { deviceId }) => deviceId === this.#ownId;
    const sorted = [...devices].sort((one, other) => Number(isOwn(other)) - Number(isOwn(one)));
    this.#panel.hidden = false;
    find("devices-count").textContent = counted(devices.length, "device");
    find("devices-list").replaceChildren(...sorted.map((device) => this.#row(device)));
    const active = devices.find(({ isActive }) => isActive);
    this.#playHere.disabled = !active || isOwn(active);
  }

  /** Hide the list: the server has sent no devices. */
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
    name.textContent = deviceId === this.#ownId ? "This tab" : deviceName || "Unnamed device";
    const status = document.createElement("span");
    const activity = !trackId ? "Idle" : isPlaying ? "Playing" : "Paused";
    setNames(status, [activity, this.#hooks.titleOf(trackId), isActive ? "leads" : ""]);
    row.append(name, status);
    return row;
  }
}
