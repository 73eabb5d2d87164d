// @ts-check
/** Type-ahead in a list: typed letters lead to the next item that begins with them. */

import { fold } from "./names.js";

/** Milliseconds between two letters of one word. */
const WORD_TIMEOUT = 800;

export class TypeAhead {
  #typed = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} key as in KeyboardEvent
   * @param {readonly { name: string, level: number }[]} items those of level 1 are looked at
   * @param {number} active the index of the active item, -1 for none
   * @returns {number | undefined | null} the index of an item, undefined where none matches, null
   *     where the key is no such letter
   */
  find(key, items, active) {
    if ([...key].length > 1 || key === "/" || (key === " " && !this.#typed)) return null;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#typed = ""), WORD_TIMEOUT);
    this.#typed += fold(key);
    const from = Math.max(0, active) + (this.#typed.length > 1 ? 0 : 1);
    for (let step = 0; step < items.length; step += 1) {
      const index = (from + step) % items.length;
      const { name, level } = items[index];
      if (level === 1 && fold(name).startsWith(this.#typed)) return index;
    }
    return undefined;
  }
}
