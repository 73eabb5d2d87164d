// @ts-check
/**
 * The words and pieces that the parts of the page share: finding an element, saying a time.
 *
 * Here: pure texts and one-line access to the page. Not here: anything that knows the playback.
 */

/**
 * The element of index.html with this id.
 * @template {Element} [E=HTMLElement]
 * @param {string} id
 * @param {new () => E} [kind]
 * @returns {E}
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof (kind ?? HTMLElement))) throw new Error(`index.html lacks #${id}`);
  return /** @type {E} */ (/** @type {unknown} */ (element));
}

/**
 * @param {HTMLButtonElement} button with an icon in it
 * @param {string} icon the name of a symbol in index.html
 * @param {string} label
 */
export function setIcon(button, icon, label) {
  const use = button.querySelector("use");
  if (use?.getAttribute("href") !== `#icon-${icon}`) use?.setAttribute("href", `#icon-${icon}`);
  if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
}

/**
 * Show words, with what stands in quotation marks isolated: a name may be written from right to
 * left, or have signs that turn the direction of all that follows (UAX 9 §6.4).
 * @param {HTMLElement} element
 * @param {string} words
 */
export function quote(element, words) {
  const [, before, name, after] = /^(.*?“)(.*)(”.*)$/s.exec(words) ?? [];
  if (name === undefined) element.textContent = words;
  else element.replaceChildren(before, isolated(name), after);
}

/**
 * Show names beside each other, each isolated from the others.
 * @param {HTMLElement} element
 * @param {(string | undefined)[]} names
 */
export function showNames(element, names) {
  const known = names.filter((name) => name !== undefined && name !== "");
  const parts = known.flatMap((name) => [" · ", isolated(/** @type {string} */ (name))]);
  element.replaceChildren(...parts.slice(1));
}

/** @param {string} name */
function isolated(name) {
  const element = document.createElement("bdi");
  element.textContent = name;
  return element;
}

/**
 * @param {string} name
 * @returns {string} without signs that turn the direction of text, for where nothing isolates
 */
export function withoutTurns(name) {
  return name.replace(/[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g, "");
}

/**
 * @param {number} seconds
 * @returns {string} like 3:07 or 1:02:03
 */
export function clock(seconds) {
  const [hours, minutes, rest] = split(seconds);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/**
 * @param {number} seconds
 * @returns {string} like "3 minutes 7 seconds"
 */
export function inWords(seconds) {
  const names = ["hour", "minute", "second"];
  const parts = split(seconds).map((number, index) => counted(number, names[index]));
  const said = parts.filter((part) => !part.startsWith("0 "));
  return said.length ? said.join(" ") : "0 seconds";
}

/**
 * @param {number} number
 * @param {string} name
 * @returns {string} like "1 track" or "2 tracks"
 */
export function counted(number, name) {
  return `${number.toLocaleString("en")} ${name}${number === 1 ? "" : "s"}`;
}

/**
 * @param {number} seconds
 * @returns {[hours: number, minutes: number, seconds: number]}
 */
function split(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
}
