// @ts-check
/**
 * Where the items of a long list are: each kind has one height, some kinds stand side by side, and
 * one item may be taller. All places are found without the items being in the document.
 */

/**
 * @typedef {object} Shape
 * @property {Record<string, number>} heights pixels from one line to the next, by kind of item
 * @property {number} columns of the kind `track`; the other kinds have a line of their own
 */

export class Lines {
  /** @type {number[]} the index of the first item of each line, and the number of items */
  #firsts = [];
  /** @type {number[]} the top of each line, and the end of the last one, in pixels */
  #tops = [0];
  /** @type {Int32Array} the line of each item */
  #lineOf;
  /** The line that is taller than its kind, -1 for none, and by how many pixels. */
  #tall = -1;
  #extra = 0;

  /**
   * @param {readonly { kind: string }[]} items
   * @param {Shape} shape
   */
  constructor(items, { heights, columns }) {
    this.columns = columns;
    this.#lineOf = new Int32Array(items.length);
    let used = 0;
    let top = 0;
    for (const [index, { kind }] of items.entries()) {
      const isBeside = kind === "track" && used > 0 && used < columns;
      if (!isBeside) {
        this.#firsts.push(index);
        top += heights[kind];
        this.#tops.push(top);
        used = 0;
      }
      used = kind === "track" ? used + 1 : 0;
      this.#lineOf[index] = this.#firsts.length - 1;
    }
    this.#firsts.push(items.length);
  }

  get count() {
    return this.#firsts.length - 1;
  }

  /** Pixels of all lines. */
  get height() {
    return this.top(this.count);
  }

  /**
   * Make the line of one item taller, and those of all others as they were.
   * @param {number} index of the item, -1 for none
   * @param {number} extra pixels
   * @returns {boolean} whether that changed anything
   */
  expand(index, extra) {
    const tall = index < 0 || extra === 0 ? -1 : this.#lineOf[index];
    if (tall === this.#tall && (tall < 0 || extra === this.#extra)) return false;
    this.#tall = tall;
    this.#extra = extra;
    return true;
  }

  /**
   * @param {number} line
   * @returns {number} pixels from the top of the list
   */
  top(line) {
    return this.#tops[line] + (this.#tall >= 0 && line > this.#tall ? this.#extra : 0);
  }

  /** @param {number} index of an item */
  lineOf(index) {
    return this.#lineOf[index];
  }

  /** @param {number} line */
  first(line) {
    return this.#firsts[line];
  }

  /**
   * @param {number} y pixels from the top of the list
   * @returns {number} the line that is there, the first or the last one beyond the ends
   */
  lineAt(y) {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }

  /**
   * The lines between two places, and some around them.
   * @param {number} from pixels from the top of the list
   * @param {number} to pixels
   * @param {number} spare lines on each side
   * @returns {[first: number, end: number]}
   */
  window(from, to, spare) {
    const first = Math.max(0, this.lineAt(from) - spare);
    return [first, Math.min(this.count, this.lineAt(to) + 1 + spare)];
  }

  /**
   * The item some lines further, in the same column or the last one of its line.
   * @param {number} index
   * @param {number} lines
   */
  move(index, lines) {
    const line = this.#lineOf[index];
    const goal = Math.max(0, Math.min(this.count - 1, line + lines));
    return Math.min(this.#firsts[goal] + index - this.#firsts[line], this.#firsts[goal + 1] - 1);
  }
}
