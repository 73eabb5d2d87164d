// @ts-check
/** The volume of this page: set by other devices, and reported to them. */

import { throttled } from "./throttle.js";

/** Milliseconds between two reports while the volume changes. */
const REPORT_INTERVAL = 300;

/** @typedef {import("../../client.js").Socket} Socket */

/**
 * Report this page's volume with every connection and at every change, and set it where the server
 * sends `volume`.
 * @param {import("../volume.js").Volume} own
 * @param {Socket} socket
 * @returns {() => void} ends that
 */
export function shareVolume(own, socket) {
  const { canBeSet } = own;
  let reported = "";
  const report = throttled(() => {
    const muted = own.isMuted;
    const data = canBeSet ? { volume: rounded(own.level), muted } : { muted };
    const text = JSON.stringify(data);
    if (!socket.connected || text === reported) return;
    reported = text;
    socket.volatile.emit("deviceUpdate", data);
  }, REPORT_INTERVAL);
  const ending = new AbortController();
  own.watch(() => report(undefined), ending.signal);
  socket.on("connect", () => {
    reported = "";
    report(undefined);
  });
  socket.on("volume", ({ deviceId, ...change }) => {
    if (deviceId === undefined) own.set(change); // else the answer to what was set elsewhere
  });
  return () => ending.abort();
}

/** @param {number} volume 0 to 1 */
function rounded(volume) {
  return Math.round(volume * 100) / 100;
}
