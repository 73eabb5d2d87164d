// @ts-check
/** Keys that act wherever the focus is, unless they mean something else there. */

import { find } from "./dom.js";
import { KEY_STEP } from "./now-playing.js";

/** @param {() => import("./player.js").Player | null} current the player to control */
export function addShortcuts(current) {
  let isByPointer = false;
  addEventListener("pointerdown", () => (isByPointer = true), true);
  addEventListener("keydown", ({ key }) => (isByPointer &&= key !== "Tab"), true);
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    const player = current();
    if (!player || isUsedByFocus(event, isByPointer)) return;
    const action = {
      " ": () => player.toggle(),
      ArrowLeft: () => (event.shiftKey ? player.previous() : player.skip(-KEY_STEP)),
      ArrowRight: () => (event.shiftKey ? player.next() : player.skip(KEY_STEP)),
      "/": () => find("search").focus(),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    const isOnce = event.key === " " || event.shiftKey;
    if (!(isOnce && event.repeat)) action();
  });
}

/**
 * Whether a key means something to the element that has the focus. The space bar presses a button
 * only if the keyboard moved the focus there: after a click, users expect it to pause.
 * @param {KeyboardEvent} event
 * @param {boolean} isByPointer whether a pointer moved the focus last
 */
function isUsedByFocus({ target, key }, isByPointer) {
  const element = /** @type {Element} */ (target);
  if (element.closest("#seek")) return false; // it prevents the default of the keys that it uses
  if (element.closest("input[type=range]")) return /^Arrow/.test(key);
  if (element.closest("input, textarea, select")) return true;
  return key === " " && !isByPointer && element.closest("button, summary") !== null;
}
