// @ts-check
/** Calls that come faster than they may be sent. */

/**
 * Limit how often a function is called: at once, and then with the latest value at most once an
 * interval, so that the last value is never lost.
 * @template Value
 * @param {(value: Value) => void} send
 * @param {number} interval milliseconds
 * @returns {(value: Value) => void}
 */
export function throttled(send, interval) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {{ value: Value } | null} */
  let waiting = null;
  const elapsed = () => {
    timer = undefined;
    if (waiting) pass(waiting.value);
  };
  const pass = (/** @type {Value} */ value) => {
    waiting = null;
    timer = setTimeout(elapsed, interval);
    send(value);
  };
  return (value) => {
    if (timer === undefined) pass(value);
    else waiting = { value };
  };
}
