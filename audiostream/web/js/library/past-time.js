// @ts-check
/** Moments in the past as text. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * @param {number} moment epoch milliseconds
 * @param {number} now epoch milliseconds
 * @returns {string} like "just now", "5 minutes ago", "yesterday" or "3 May 2026"
 */
export function pastTime(moment, now) {
  const age = Math.max(0, now - moment);
  if (age < MINUTE) return "just now";
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), "minute");
  if (age < DAY) return relative.format(-Math.floor(age / HOUR), "hour");
  if (age < 7 * DAY) return relative.format(-Math.floor(age / DAY), "day");
  return new Date(moment).toLocaleDateString("en-GB", { dateStyle: "medium" });
}
