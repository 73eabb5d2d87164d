// @ts-check
/** The id and the name under which the server lists this tab. */

import { randomId } from "./client/random-id.js";

const DEVICE_KEY = "audiostream.device";
const NAME_KEY = "audiostream.deviceName";
/** Characters that the server keeps of a name. */
const MAX_NAME_LENGTH = 128;

/**
 * This tab's own id: it survives a reload, and no other tab has it. A tab that is duplicated, or
 * opened from another, begins with a copy of the other's storage; so the id is stored only while
 * its page is not shown.
 * @returns {string}
 */
export function deviceId() {
  const id = sessionStorage.getItem(DEVICE_KEY) ?? randomId();
  const remove = () => sessionStorage.removeItem(DEVICE_KEY);
  const store = () => sessionStorage.setItem(DEVICE_KEY, id);
  remove();
  addEventListener("pagehide", store);
  addEventListener("pageshow", remove);
  document.addEventListener("freeze", store);
  document.addEventListener("resume", remove);
  return id;
}

/** @returns {string} what the user has called this browser, else what it is */
export function deviceName() {
  return localStorage.getItem(NAME_KEY) ?? defaultName();
}

/**
 * Remember a name for this browser; an empty one brings the first one back.
 * @param {string} name
 * @returns {string} as it is shown from now on
 */
export function rename(name) {
  const kept = [...name.trim()].slice(0, MAX_NAME_LENGTH).join("");
  if (kept) localStorage.setItem(NAME_KEY, kept);
  else localStorage.removeItem(NAME_KEY);
  return deviceName();
}

function defaultName() {
  const { userAgentData, platform } = /** @type {any} */ (navigator);
  const system = userAgentData?.platform || platform || "unknown";
  return `Web player, ${system}`.slice(0, MAX_NAME_LENGTH);
}
