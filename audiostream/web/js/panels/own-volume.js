// @ts-check
/** The volume of this page: set by other devices, and reported to them. */

import { throttled } from "./throttle.js";

/** Milliseconds between two reports while the volume changes. */
const REPORT_INTERVAL = 300;

/** @typedef {import("../../client.js").Socket} Socket */

/**
 * Report the volume of an element with every connection and at every change, and set it where the
 * server sends `volume`.
 * @param {HTMLMediaElement} audio
 * @param {Socket} socket
 * @returns {() => void} ends that
 */
export function shareVolume(audio, socket) {
  const hasVolume = canSetVolume(audio);
  let reported = "";
  const report = throttled(() => {
    const { volume, muted } = audio;
    const data = hasVolume ? { volume: rounded(volume), muted } : { muted };
    const text = JSON.stringify(data);
    if (!socket.connected || text === reported) return;
    reported = text;
    socket.volatile.emit("deviceUpdate", data);
  }, REPORT_INTERVAL);
  const changed = () => report(undefined);
  audio.addEventListener("volumechange", changed);
  socket.on("connect", () => {
    reported = "";
    changed();
  });
  socket.on("volume", ({ deviceId, volume, muted }) => {
    if (deviceId !== undefined) return; // the answer to what was set elsewhere
    if (volume !== undefined) audio.volume = volume;
    if (muted !== undefined) audio.muted = muted;
  });
  return () => audio.removeEventListener("volumechange", changed);
}

/**
 * On iOS the buttons of the device alone set the volume of media, and it reads as 1.
 * @param {HTMLMediaElement} audio
 */
function canSetVolume(audio) {
  const { volume } = audio;
  const other = volume < 0.5 ? 1 : 0.25;
  audio.volume = other;
  const isSet = audio.volume === other;
  audio.volume = volume;
  return isSet;
}

/** @param {number} volume 0 to 1 */
function rounded(volume) {
  return Math.round(volume * 100) / 100;
}
