// @ts-check
/** What a browser is called, as far as its user agent tells it. */

/**
 * Browsers by what their user agents say; of those that match the first one counts, as most claim
 * to be others, too.
 * @type {[pattern: RegExp, name: string][]}
 */
const BROWSERS = [
  [/\bEdg(e|A|iOS)?\//, "Edge"],
  [/\b(OPR|OPT|OPX)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(Firefox|FxiOS|Focus)\//, "Firefox"],
  [/\b((Headless)?Chrome|Chromium|CriOS)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
/** @type {[pattern: RegExp, name: string][]} */
const SYSTEMS = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMacintosh\b/, "Mac"],
  [/\bLinux\b/, "Linux"],
];

/**
 * @param {string} userAgent
 * @param {number} [touchPoints] that the device notices at once
 * @returns {string} like "Firefox, Android"; "Web player" where the user agent tells nothing
 */
export function browserName(userAgent, touchPoints = 0) {
  const [browser, system] = [BROWSERS, SYSTEMS].map((names) => {
    return names.find(([pattern]) => pattern.test(userAgent))?.[1];
  });
  const isTablet = system === "Mac" && touchPoints > 1; // an iPad says that it is a Mac
  const parts = [browser ?? "Web player", isTablet ? "iPad" : system];
  return parts.filter(Boolean).join(", ");
}
