// @ts-check
/** Type-ahead in a list: typed letters lead to the next item that begins with them. */

/** Milliseconds between two letters of one word. */
const WORD_TIMEOUT = 800;

export class TypeAhead {
  #typed = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} key as in KeyboardEvent
   * @param {{ title: string }[]} items
   * @param {number} active the index of the active item, -1 for none
   * @returns {number | undefined | null} the index of an item, undefined where none matches, null
   *     where the key is no such letter
   */
  find(key, items, active) {
    if ([...key].length > 1 || key === "/" || (key === " " && !this.#typed)) return null;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#typed = ""), WORD_TIMEOUT);
    this.#typed += key.toLowerCase();
    const from = Math.max(0, active) + (this.#typed.length > 1 ? 0 : 1);
    const order = [...items.keys()].map((index) => (index + from) % items.length);
    return order.find((index) => items[index].title.toLowerCase().startsWith(this.#typed));
  }
}
