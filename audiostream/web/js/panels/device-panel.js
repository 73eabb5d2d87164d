// @ts-check
/** The panel of the user's devices: where it plays, their volumes, and this device's name. */

import { deviceName, rename } from "../device-label.js";
import { find, setQuoted, setText } from "../dom.js";
import { distinctNames } from "./device-names.js";
import { DeviceRow, OWN } from "./device-row.js";
import { Panel } from "./panel.js";
import { VolumeControl } from "./volume-control.js";

/** Milliseconds within which the server answers. */
const ANSWER_TIMEOUT = 5_000;

/** @typedef {import("../../client.js").Socket} Socket */
/** @typedef {import("../player.js").Player} Player */
/** @typedef {import("../../client.js").Devices["devices"][number]} Device */
/** @typedef {import("./device-row.js").DeviceView} DeviceView */
/** @typedef {import("./volume-control.js").Change} Change */

export class DevicePanel {
  #ownId;
  #own;
  /** @type {{ player: Player, socket: Socket } | null} */
  #session = null;
  /** @type {Device[]} */
  #devices = [];
  /** @type {Map<string, DeviceRow>} by the id of their devices */
  #rows = new Map();
  /** What is shown, as text. */
  #shown = "";
  #button = find("open-devices", HTMLButtonElement);
  #form = find("rename-form", HTMLFormElement);
  #input = find("rename", HTMLInputElement);
  #panel;
  /** @type {DeviceView | undefined} the active device, if it is another one */
  #remote;
  #remoteVolume;

  /**
   * @param {string} ownId this tab's
   * @param {import("../volume.js").Volume} own of this tab
   */
  constructor(ownId, own) {
    this.#ownId = ownId;
    this.#own = own;
    this.#panel = new Panel("device-panel", "open-devices", () => this.#opened());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#rename();
    });
    own.watch(() => this.update());
    const mute = find("remote-mute", HTMLButtonElement);
    const slider = find("remote-volume", HTMLInputElement);
    this.#remoteVolume = new VolumeControl(mute, slider, (change) => {
      if (this.#remote) this.#setVolume(this.#remote, change);
    });
    find("remote-play-here").addEventListener("click", () => this.#playOn(ownId, "this device"));
  }

  /**
   * @param {Player} player
   * @param {Socket} socket
   */
  attach(player, socket) {
    this.#session = { player, socket };
  }

  /** @param {Device[]} devices this tab among them */
  show(devices) {
    this.#devices = devices;
    this.update();
  }

  /** Show nothing: the user has signed out, or the server sends no devices. */
  hide() {
    this.#devices = [];
    this.#panel.close();
    this.update();
  }

  /** Show the devices and what they play, which may have changed. */
  update() {
    const { player } = this.#session ?? {};
    const names = distinctNames(this.#devices);
    const views = this.#devices.map((device, index) => this.#viewOf(device, names[index]));
    views.sort((one, other) => Number(other.isOwn) - Number(one.isOwn));
    const shown = JSON.stringify([views, player?.isPlaying, player?.track?.id]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const rows = new Map();
    for (const view of views) {
      const key = keyOf(view.deviceId, rows);
      const row = this.#rows.get(key) ?? this.#newRow();
      row.show(view);
      rows.set(key, row);
    }
    this.#replaceRows(rows);
    this.#showActive(views.find(({ isActive }) => isActive));
  }

  /**
   * @param {Device} device
   * @param {string} name no other device's
   * @returns {DeviceView}
   */
  #viewOf(device, name) {
    const { deviceId, isActive, isPlaying, trackId } = device;
    const isOwn = deviceId === this.#ownId;
    const title = this.#session?.player.titleOf(trackId) ?? "";
    // Its own volume, as the server has not received the latest one.
    const reported = { volume: device.volume ?? null, muted: device.muted ?? null };
    const own = { volume: this.#own.level, muted: this.#own.isMuted };
    const { volume, muted } = isOwn && reported.muted !== null ? own : reported;
    const shown = isOwn && reported.volume === null ? null : volume;
    return { deviceId, name, title, isOwn, isActive, isPlaying, volume: shown, muted };
  }

  /** @param {Map<string, DeviceRow>} rows */
  #replaceRows(rows) {
    const list = find("devices-list");
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.element.remove();
    this.#rows = rows;
    [...rows.values()].forEach(({ element }, index) => {
      const there = list.children[index];
      if (there !== element) list.insertBefore(element, there ?? null);
    });
  }

  /** @param {DeviceView} [device] the active one */
  #showActive(device) {
    const name = device?.isOwn ? OWN : (device?.name ?? "");
    const player = this.#session?.player;
    this.#remote = device?.isOwn ? undefined : device;
    const isElsewhere = this.#remote !== undefined;
    setText(find("active-device"), name || "Devices");
    this.#button.setAttribute("aria-label", name ? `Devices: ${name}` : "Devices");
    this.#button.dataset.elsewhere = String(isElsewhere);
    find("remote").hidden = !isElsewhere || !player?.track;
    const activity = player?.isPlaying ? "Playing" : "Paused";
    if (isElsewhere) setText(find("remote-where"), `${activity} on ${name}`);
    find("loudness").hidden = isElsewhere;
    find("remote-loudness").hidden = !isElsewhere;
    if (device) this.#remoteVolume.show(device);
  }

  #opened() {
    this.#input.value = deviceName();
    this.update();
  }

  #newRow() {
    return new DeviceRow({
      onPlay: ({ deviceId, name }) => this.#playOn(deviceId, name),
      onVolume: (device, volume) => this.#setVolume(device, volume),
    });
  }

  /**
   * @param {string} deviceId
   * @param {string} name
   */
  #playOn(deviceId, name) {
    this.#session?.player.transfer(deviceId, true);
    this.#announce(`Playing on ${name}`);
  }

  /**
   * @param {DeviceView} device
   * @param {Change} volume
   */
  #setVolume({ deviceId, name, isOwn }, volume) {
    if (isOwn) return this.#own.set(volume);
    const socket = this.#session?.socket;
    if (!socket?.connected) return this.#announce("There is no connection to the server.");
    const change = { deviceId, ...volume };
    return socket.timeout(ANSWER_TIMEOUT).emit("setVolume", change, (error, answer) => {
      if (error) this.#announce(`“${name}” could not be reached.`);
      else if ("error" in answer) this.#announce(`The server says: ${answer.error.message}.`);
    });
  }

  #rename() {
    const name = rename(this.#input.value);
    this.#input.value = name;
    const socket = this.#session?.socket;
    if (!socket) return;
    socket.auth = { ...socket.auth, deviceName: name };
    if (socket.connected) socket.emit("deviceUpdate", { deviceName: name });
    this.#announce(`This device is “${name}” now.`);
  }

  /** @param {string} text */
  #announce(text) {
    setQuoted(find("device-status"), text);
  }
}

/**
 * A tab that was duplicated may have the id of the other until it is reloaded.
 * @param {string} id
 * @param {Map<string, unknown>} used
 */
function keyOf(id, used) {
  let key = id;
  while (used.has(key)) key += " ";
  return key;
}
