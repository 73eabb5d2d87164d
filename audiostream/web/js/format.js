// @ts-check
/** Times, counts and names as text. */

/**
 * @param {string} name
 * @returns {string} without the control characters of bidirectional text, for where no element
 *     isolates it
 */
export function withoutBidiControls(name) {
  return name.replace(/[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g, "");
}

/**
 * @param {number} seconds
 * @returns {string} like 3:07 or 1:02:03
 */
export function clockTime(seconds) {
  const [hours, minutes, rest] = split(seconds);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/**
 * @param {number} seconds
 * @returns {string} like "3 minutes 7 seconds"
 */
export function spokenTime(seconds) {
  const units = ["hour", "minute", "second"];
  const parts = split(seconds).map((number, index) => counted(number, units[index]));
  return parts.filter((part) => !part.startsWith("0 ")).join(" ") || "0 seconds";
}

/**
 * @param {number} number
 * @param {string} noun
 * @returns {string} like "1 track" or "2 tracks"
 */
export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * @param {number} seconds
 * @returns {[hours: number, minutes: number, seconds: number]}
 */
function split(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
}
