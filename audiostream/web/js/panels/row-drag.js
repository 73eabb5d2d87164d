// @ts-check
/** Moving a row of a list by its handle, with a mouse, a pen or a finger. */

/** Pixels before a press on the handle becomes a drag. */
const MIN_DISTANCE = 4;
/** Pixels from the edges of the list in which it scrolls, and how far in a frame. */
const EDGE = 48;
const SCROLL_STEP = 12;

/**
 * @typedef {object} Drag
 * @property {HTMLElement} row
 * @property {HTMLElement[]} rows all of one height
 * @property {number} from the row's index
 * @property {number} to where it would be dropped
 * @property {number} height pixels
 * @property {number} startY of the pointer
 * @property {number} startScroll of the list
 * @property {number} y of the pointer
 * @property {boolean} hasBegun
 */

export class RowDrag {
  /** Whether the click that comes now ends a drag. */
  wasDragged = false;
  #list;
  #onMoved;
  /** @type {Drag | null} */
  #drag = null;

  /**
   * @param {HTMLElement} list scrolls; its rows have a handle of the class `grab`
   * @param {(from: number, to: number) => void} onMoved
   */
  constructor(list, onMoved) {
    this.#list = list;
    this.#onMoved = onMoved;
    list.addEventListener("pointerdown", (event) => this.#pressed(event));
    list.addEventListener("pointermove", (event) => this.#dragged(event));
    list.addEventListener("pointerup", () => this.#released());
    list.addEventListener("pointercancel", () => this.cancel());
    addEventListener("keydown", (event) => this.#escaped(event), true);
  }

  /** Put the row back. */
  cancel() {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    this.#list.classList.remove("dragging");
    drag.row.classList.remove("dragged");
    for (const row of drag.rows) row.style.transform = "";
  }

  /** @param {PointerEvent} event */
  #pressed({ target, button, pointerId, clientY }) {
    const handle = /** @type {Element} */ (target).closest(".grab");
    const row = handle?.parentElement;
    if (button !== 0 || !handle || !row || this.#drag) return;
    handle.setPointerCapture(pointerId);
    const rows = /** @type {HTMLElement[]} */ ([...this.#list.children]);
    const from = rows.indexOf(row);
    const height = row.getBoundingClientRect().height;
    const start = { startY: clientY, y: clientY, startScroll: this.#list.scrollTop };
    this.#drag = { row, rows, from, to: from, height, ...start, hasBegun: false };
  }

  /** @param {PointerEvent} event */
  #dragged({ clientY }) {
    const drag = this.#drag;
    if (!drag) return;
    drag.y = clientY;
    if (drag.hasBegun) return this.#show(drag);
    if (Math.abs(clientY - drag.startY) < MIN_DISTANCE) return;
    drag.hasBegun = true;
    this.#list.classList.add("dragging");
    drag.row.classList.add("dragged");
    this.#scroll(drag);
  }

  /**
   * Move the row to the pointer, and those that it passes out of its way.
   * @param {Drag} drag
   */
  #show(drag) {
    const { row, rows, from, height, y, startY, startScroll } = drag;
    const distance = y - startY + this.#list.scrollTop - startScroll;
    const last = rows.length - 1;
    const offset = Math.max(-from * height, Math.min(distance, (last - from) * height));
    const to = from + Math.round(offset / height);
    row.style.transform = `translateY(${offset}px)`;
    const [first, final] = [Math.min(drag.to, to, from), Math.max(drag.to, to, from)];
    drag.to = to;
    for (let index = first; index <= final; index += 1) {
      if (index === from) continue;
      const isPassed = index > from ? index <= to : index >= to;
      const shift = index > from ? -height : height;
      rows[index].style.transform = isPassed ? `translateY(${shift}px)` : "";
    }
  }

  /**
   * Scroll while the pointer is at an edge of the list.
   * @param {Drag} drag
   */
  #scroll(drag) {
    if (drag !== this.#drag) return;
    const { top, bottom } = this.#list.getBoundingClientRect();
    if (drag.y < top + EDGE) this.#list.scrollTop -= SCROLL_STEP;
    else if (drag.y > bottom - EDGE) this.#list.scrollTop += SCROLL_STEP;
    this.#show(drag);
    requestAnimationFrame(() => this.#scroll(drag));
  }

  #released() {
    const drag = this.#drag;
    this.cancel();
    setTimeout(() => (this.wasDragged = false)); // after the click that follows
    if (!drag?.hasBegun) return;
    this.wasDragged = true;
    if (drag.to !== drag.from) this.#onMoved(drag.from, drag.to);
  }

  /** @param {KeyboardEvent} event */
  #escaped(event) {
    if (event.key !== "Escape" || !this.#drag) return;
    event.preventDefault();
    event.stopPropagation();
    this.wasDragged = this.#drag.hasBegun;
    this.cancel();
  }
}
