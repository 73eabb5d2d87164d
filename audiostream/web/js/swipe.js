// @ts-check
/** Swipes of a finger or a mouse over an element. */

/** Pixels that a swipe is long at least. */
const MIN_LENGTH = 48;
/** How much longer it is in its own direction than across. */
const STRAIGHTNESS = 1.4;
/** Milliseconds that it lasts at most. */
const MAX_TIME = 1_200;

/** @typedef {"left" | "right" | "up" | "down"} Direction */

/**
 * @param {number} x pixels to the right
 * @param {number} y pixels downwards
 * @param {number} time milliseconds
 * @returns {Direction | null} null for what is no swipe
 */
export function directionOf(x, y, time) {
  const [long, short] = [Math.max(Math.abs(x), Math.abs(y)), Math.min(Math.abs(x), Math.abs(y))];
  if (long < MIN_LENGTH || long < short * STRAIGHTNESS || time > MAX_TIME) return null;
  if (Math.abs(x) > Math.abs(y)) return x < 0 ? "left" : "right";
  return y < 0 ? "up" : "down";
}

/**
 * Listen to an element that has `touch-action` for the directions.
 * @param {HTMLElement} element
 * @param {(direction: Direction) => void} onSwipe
 */
export function addSwipeListener(element, onSwipe) {
  /** @type {PointerEvent | null} */
  let start = null;
  element.addEventListener("pointerdown", (event) => {
    start = event.isPrimary ? event : null;
    if (start) element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointercancel", () => (start = null));
  element.addEventListener("pointerup", ({ clientX, clientY, timeStamp }) => {
    if (!start) return;
    const time = timeStamp - start.timeStamp;
    const direction = directionOf(clientX - start.clientX, clientY - start.clientY, time);
    start = null;
    if (direction) onSwipe(direction);
  });
}
