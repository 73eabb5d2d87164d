// @ts-check
/** Keys that act wherever the focus is, unless they mean something else there; and their list. */

import { find } from "./dom.js";
import { SKIP_BACK, SKIP_FORWARD } from "./media-controls.js";
import { KEY_STEP } from "./seek-bar.js";

/** What the dialog lists: keys, and what they do. */
const KEYS = [
  ["Space, K", "Play or pause"],
  ["← →", `Back, forward ${KEY_STEP} seconds`],
  ["J", `Back ${SKIP_BACK} seconds`],
  ["L", `Forward ${SKIP_FORWARD} seconds`],
  ["N, Shift →", "Next track"],
  ["P, Shift ←", "Previous track"],
  ["M", "Mute this tab"],
  ["/", "Search"],
  ["↑ ↓, Enter", "In the list: choose a track"],
  ["A letter", "In the list: go to the next title that begins with it"],
  ["?", "This list"],
];

/** Keys after which the keyboard has moved the focus. */
const NAVIGATION = new Set(["Tab", "ArrowUp", "ArrowDown"]);

/** @typedef {import("./player.js").Player} Player */

/**
 * @param {() => Player | null} current the player to control
 * @param {() => void} toggleMuted
 */
export function addShortcuts(current, toggleMuted) {
  let isByPointer = false;
  addEventListener("pointerdown", () => (isByPointer = true), true);
  addEventListener("keydown", ({ key }) => (isByPointer &&= !NAVIGATION.has(key)), true);
  // After a choice by the pointer the space bar pauses, and does not open the choice again.
  addEventListener("change", ({ target }) => {
    if (isByPointer && target instanceof HTMLSelectElement) target.blur();
  });
  addEventListener("keydown", (event) => {
    if (isLeftToFocus(event, isByPointer)) return;
    act(event);
    if (event.defaultPrevented) event.stopPropagation(); // the list would look for the letter
  }, true);
  addEventListener("keydown", act);
  find("show-keys").addEventListener("click", showKeys);

  /** @param {KeyboardEvent} event */
  function act(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    const player = current();
    if (!player || isUsedByFocus(event, isByPointer)) return;
    const action = actionOf(event, player, toggleMuted);
    if (!action) return;
    event.preventDefault();
    const isStep = event.key.startsWith("Arrow") && !event.shiftKey;
    if (isStep || !event.repeat) action();
  }
}

/**
 * @param {KeyboardEvent} event
 * @param {Player} player
 * @param {() => void} toggleMuted
 * @returns {(() => void) | undefined}
 */
function actionOf({ key, shiftKey }, player, toggleMuted) {
  /** @type {Record<string, () => void>} */
  const actions = {
    " ": () => player.toggle(),
    k: () => player.toggle(),
    arrowleft: () => (shiftKey ? player.previous() : player.skip(-KEY_STEP)),
    arrowright: () => (shiftKey ? player.next() : player.skip(KEY_STEP)),
    j: () => player.skip(-SKIP_BACK),
    l: () => player.skip(SKIP_FORWARD),
    n: () => player.next(),
    p: () => player.previous(),
    m: toggleMuted,
    "/": () => find("search").focus(),
    "?": showKeys,
  };
  return actions[key.toLowerCase()];
}

/**
 * Whether a key is left to whatever has the focus. A list takes letters for the beginnings of
 * titles, but after a click on a row users expect them to act on what plays.
 * @param {KeyboardEvent} event
 * @param {boolean} isByPointer
 */
function isLeftToFocus({ target, key }, isByPointer) {
  const isInList = /** @type {Element} */ (target).closest?.("#tracks");
  return !isInList || !(key === "?" || (isByPointer && /^[a-z]$/i.test(key)));
}

function showKeys() {
  const dialog = find("keys", HTMLDialogElement);
  const rows = KEYS.flatMap(([keys, meaning]) => [element("dt", keys), element("dd", meaning)]);
  find("keys-list").replaceChildren(...rows);
  find("menu").hidePopover();
  if (!dialog.open) dialog.showModal();
}

/**
 * @param {string} name
 * @param {string} text
 */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/**
 * Whether a key means something to the element that has the focus. The space bar presses a button
 * only if the keyboard moved the focus there: after a click, users expect it to pause.
 * @param {KeyboardEvent} event
 * @param {boolean} isByPointer whether a pointer moved the focus last
 */
function isUsedByFocus({ target, key }, isByPointer) {
  const element = /** @type {Element} */ (target);
  if (element.closest("dialog:modal")) return true;
  if (element.closest("#seek")) return false; // it prevents the default of the keys that it uses
  if (element.closest("input[type=range]")) return /^Arrow/.test(key);
  if (element.closest("input[type=checkbox]")) return key === " ";
  if (element.closest("input, textarea, select")) return true;
  return key === " " && !isByPointer && element.closest("button, summary") !== null;
}
