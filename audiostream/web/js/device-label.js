// @ts-check
/** The name under which the server lists this tab. */

import { browserName } from "./browser-name.js";

const NAME_KEY = "audiostream.deviceName";
/** Characters that the server keeps of a name. */
const MAX_NAME_LENGTH = 128;

/** @returns {string} what the user has called this browser, else what it is */
export function deviceName() {
  return (
    localStorage.getItem(NAME_KEY) ?? browserName(navigator.userAgent, navigator.maxTouchPoints)
  );
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
