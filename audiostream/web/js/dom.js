// @ts-check
/** Access to the elements of index.html. */

/**
 * The element of index.html with this id.
 * @template {Element} [E=HTMLElement]
 * @param {string} id
 * @param {new () => E} [kind]
 * @returns {E}
 * @throws {Error} where there is none of this kind
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof (kind ?? HTMLElement))) throw new Error(`index.html lacks #${id}`);
  return /** @type {E} */ (/** @type {unknown} */ (element));
}

/**
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
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
 * @param {HTMLInputElement} range
 * @param {number} share 0 to 1
 * @param {string} [property] of css/sliders.css
 */
export function setFill(range, share, property = "--fill") {
  range.style.setProperty(property, `${Math.min(1, share) * 100}%`);
}

/**
 * Show a sentence with the name in its quotation marks isolated: a name may be written from right
 * to left, or have characters that change the direction of all that follows (UAX #9 §6.4).
 * @param {Element | null} element
 * @param {string} text
 */
export function setQuoted(element, text) {
  const [, before, name, after] = /^(.*?“)(.*)(”.*)$/s.exec(text) ?? [];
  element?.replaceChildren(...(name === undefined ? [text] : [before, isolated(name), after]));
}

/**
 * Show names beside each other, each isolated from the others.
 * @param {Element} element
 * @param {(string | undefined)[]} names
 */
export function setNames(element, names) {
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
