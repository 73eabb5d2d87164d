// @ts-check
/**
 * The list in the queue panel: what the pointer and the keyboard do there. Arrow keys lead from row
 * to row. With Alt they move the row itself, and so they do once its handle was pressed.
 */

import { find } from "../dom.js";
import { indexAfterMove, moved } from "./queue-order.js";
import { ENTRY, GRAB, QueueRows } from "./queue-rows.js";
import { RowDrag } from "./row-drag.js";

/** Milliseconds after the last key of a move before it is sent. */
const MOVE_PAUSE = 500;

/** @typedef {import("./queue-row.js").Entry} Entry */
/** @typedef {import("./queue-rows.js").Places} Places */

/**
 * @typedef {object} Hooks
 * @property {(index: number) => void} onPlay
 * @property {(index: number) => void} onRemove
 * @property {(from: number, to: number) => void} onMove
 * @property {(text: string) => void} announce to assistive technology
 */

export class QueueList {
  #hooks;
  /** @type {Entry[]} with the moves that were sent */
  #entries = [];
  /** @type {Places} */
  #places = { now: null, next: null };
  /** @type {{ from: number, to: number } | null} a move that is not sent yet */
  #move = null;
  /** Whether the arrow keys move the active row. */
  #isGrabbed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #moveTimer;
  #rows;
  #drag;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    const list = find("queue-list", HTMLOListElement);
    this.#rows = new QueueRows(list);
    this.#drag = new RowDrag(list, (from, to) => {
      this.#startMove(from, to);
      this.#sendMove();
    });
    list.addEventListener("click", ({ target }) => this.#clicked(target));
    list.addEventListener("keydown", (event) => this.#pressed(event));
    list.addEventListener("focusin", ({ target }) => this.#focused(target));
    list.addEventListener("focusout", () => setTimeout(() => this.#left()));
  }

  /**
   * @param {Entry[]} entries
   * @param {Places} places
   */
  show(entries, places) {
    const isAt = (/** @type {Entry} */ { id }, /** @type {number} */ index) =>
      this.#entries[index].id === id;
    const isSame = entries.length === this.#entries.length && entries.every(isAt);
    if (!isSame) this.#forgetMove();
    this.#entries = entries;
    this.#places = places;
    this.#render();
  }

  /** Scroll to what plays. */
  scrollToNow() {
    this.#rows.scrollTo(this.#places.now ?? 0);
  }

  /** Give the tab stop the focus, if there are rows. */
  focus() {
    this.#rows.focus(this.#rows.active, ENTRY);
  }

  #render() {
    const { entries, places } = this.#order;
    this.#rows.show(entries, places);
  }

  /** The entries as they are shown: where the user has moved one. */
  get #order() {
    const [entries, places, move] = [this.#entries, this.#places, this.#move];
    if (!move) return { entries, places };
    const { from, to } = move;
    const now = indexAfterMove(places.now, from, to);
    const next = indexAfterMove(places.next, from, to);
    return { entries: moved(entries, from, to), places: { now, next } };
  }

  /** @param {EventTarget | null} target */
  #clicked(target) {
    const index = this.#rows.indexOf(target);
    const button = /** @type {Element} */ (target).closest("button");
    if (index < 0 || !button || this.#drag.wasDragged) return;
    if (button.className === "grab") return this.#grabClicked(index);
    this.#sendMove();
    if (button.className === "remove") this.#hooks.onRemove(index);
    else this.#hooks.onPlay(index);
  }

  /** @param {number} index the handle of another row drops the grabbed one there */
  #grabClicked(index) {
    if (!this.#isGrabbed) return this.#grab(index);
    if (index !== this.#rows.active) this.#startMove(this.#rows.active, index);
    return this.#drop();
  }

  /** @param {number} index */
  #grab(index) {
    this.#sendMove();
    this.#rows.focus(index, GRAB);
    this.#setGrabbed(true);
    this.#hooks.announce(`Grabbed: ${this.#rows.describe(index)}`);
  }

  #drop() {
    this.#setGrabbed(false);
    this.#sendMove();
    this.#hooks.announce(`Dropped: ${this.#rows.describe(this.#rows.active)}`);
  }

  /** @param {boolean} isGrabbed */
  #setGrabbed(isGrabbed) {
    this.#isGrabbed = isGrabbed;
    this.#rows.setGrabbed(isGrabbed);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const { key, altKey, ctrlKey, metaKey, shiftKey } = event;
    if (ctrlKey || metaKey || shiftKey || !this.#rows.count) return;
    if (!this.#act(key, altKey)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {string} key
   * @param {boolean} isAlt
   * @returns {boolean} whether the key means something here
   */
  #act(key, isAlt) {
    const { active, count, focusedButton = ENTRY } = this.#rows;
    /** @type {Record<string, number>} */
    const goals = { ArrowUp: active - 1, ArrowDown: active + 1, Home: 0, End: count - 1 };
    const goal = goals[key];
    if (goal !== undefined && (isAlt || this.#isGrabbed)) this.#moveTo(this.#rows.clamp(goal));
    else if (goal !== undefined) this.#rows.focus(goal, focusedButton);
    else if (key === "Escape" && this.#isGrabbed) this.#cancelGrab();
    else if (key === "Delete" && !isAlt) this.#remove();
    else return false;
    return true;
  }

  /** @param {number} to */
  #moveTo(to) {
    const { active, focusedButton = GRAB } = this.#rows;
    this.#startMove(active, to);
    this.#rows.focus(to, focusedButton);
    this.#hooks.announce(this.#rows.describe(to));
    clearTimeout(this.#moveTimer);
    if (!this.#isGrabbed) this.#moveTimer = setTimeout(() => this.#sendMove(), MOVE_PAUSE);
  }

  #cancelGrab() {
    const from = this.#move?.from ?? this.#rows.active;
    this.#setGrabbed(false);
    this.#move = null;
    this.#rows.active = from;
    this.#render();
    this.#hooks.announce(`Not moved: ${this.#rows.describe(from)}`);
  }

  #remove() {
    this.#sendMove();
    const { active } = this.#rows;
    if (active !== this.#places.now) this.#hooks.onRemove(active);
  }

  /**
   * Show a row elsewhere.
   * @param {number} from the index at which it is shown
   * @param {number} to
   */
  #startMove(from, to) {
    const isSameRow = this.#move?.to === from;
    if (!isSameRow) this.#sendMove();
    this.#move = { from: this.#move?.from ?? from, to };
    this.#rows.active = to;
    this.#render();
  }

  /** Send the move that is shown. */
  #sendMove() {
    clearTimeout(this.#moveTimer);
    const move = this.#move;
    if (!move) return;
    const { entries, places } = this.#order;
    this.#move = null;
    this.#entries = entries;
    this.#places = places;
    if (move.from !== move.to) this.#hooks.onMove(move.from, move.to);
  }

  /** Forget a move that has become meaningless, as another device has changed the list. */
  #forgetMove() {
    clearTimeout(this.#moveTimer);
    this.#drag.cancel();
    if (this.#isGrabbed) this.#hooks.announce("The queue was changed elsewhere.");
    this.#setGrabbed(false);
    this.#move = null;
  }

  /** @param {EventTarget | null} target */
  #focused(target) {
    const index = this.#rows.indexOf(target);
    if (index >= 0 && index !== this.#rows.active && !this.#isGrabbed) this.#rows.setActive(index);
  }

  /** The focus has left a row, perhaps for another one. */
  #left() {
    if (!this.#isGrabbed || this.#rows.focusedButton !== undefined) return;
    this.#setGrabbed(false);
    this.#sendMove();
  }
}
