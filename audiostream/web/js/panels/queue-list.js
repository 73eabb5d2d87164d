// @ts-check
/**
 * The list in the queue panel: its rows, and what the keyboard does there. One row is a tab stop:
 * arrow keys lead to the others. Alt and an arrow key move the row itself, as do the arrow keys
 * once its handle was pressed.
 */

import { find } from "../dom.js";
import { indexAfterMove, keysOf, moved } from "./queue-order.js";
import { createQueueRow, showEntry, showPlace } from "./queue-row.js";
import { RowDrag } from "./row-drag.js";

/** Milliseconds after the last key of a move before it is sent. */
const MOVE_PAUSE = 500;

/** @typedef {import("./queue-row.js").Entry} Entry */

/**
 * @typedef {object} Places
 * @property {number | null} now the index of what plays
 * @property {number | null} next the index of what follows it
 */

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
  /** @type {HTMLLIElement[]} in the order of the document */
  #rows = [];
  /** @type {Map<string, HTMLLIElement>} by the keys of their entries */
  #known = new Map();
  /** @type {WeakMap<HTMLLIElement, Entry["track"]>} what they show */
  #shown = new WeakMap();
  /** The index of the tab stop. */
  #active = 0;
  /** @type {{ from: number, to: number } | null} a move that is not sent yet */
  #move = null;
  /** Whether the arrow keys move the active row. */
  #isGrabbed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #moveTimer;
  #list = find("queue-list", HTMLOListElement);
  #drag;

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#drag = new RowDrag(this.#list, (from, to) => {
      this.#startMove(from, to);
      this.#sendMove();
    });
    this.#list.addEventListener("click", ({ target }) => this.#clicked(target));
    this.#list.addEventListener("keydown", (event) => this.#pressed(event));
    this.#list.addEventListener("focusin", ({ target }) => this.#focused(target));
    this.#list.addEventListener("focusout", () => this.#left());
  }

  /**
   * @param {Entry[]} entries
   * @param {Places} places
   */
  show(entries, places) {
    const isSame = entries.length === this.#entries.length && entries.every(this.#isAt, this);
    if (!isSame) {
      this.#endMove();
      this.#drag.cancel();
    }
    this.#entries = entries;
    this.#places = places;
    this.#render();
  }

  /** Scroll to what plays. */
  scrollToNow() {
    const row = this.#rows[this.#places.now ?? 0];
    // A row of what was played stays visible, so that it is seen that there are some.
    if (row) this.#list.scrollTop = row.offsetTop - row.offsetHeight;
  }

  /** Give the tab stop the focus, if there are rows. */
  focus() {
    this.#focus(this.#active, 1);
  }

  /** @type {(entry: Entry, index: number) => boolean} */
  #isAt({ id }, index) {
    return this.#entries[index].id === id;
  }

  /** The entries in the order that is shown, and where the user has moved what. */
  get #order() {
    const move = this.#move;
    if (!move) return { entries: this.#entries, ...this.#places };
    const { from, to } = move;
    const { now, next } = this.#places;
    return {
      entries: moved(this.#entries, from, to),
      now: indexAfterMove(now, from, to),
      next: indexAfterMove(next, from, to),
    };
  }

  #render() {
    const { entries, now, next } = this.#order;
    const focused = this.#focusedPart();
    const keys = keysOf(entries.map(({ id }) => id));
    const rows = keys.map((key) => this.#known.get(key) ?? createQueueRow());
    this.#known = new Map(keys.map((key, index) => [key, rows[index]]));
    entries.forEach((entry, index) => {
      const row = rows[index];
      if (!this.#shown.has(row) || this.#shown.get(row) !== entry.track) showEntry(row, entry);
      this.#shown.set(row, entry.track);
      const isPlayed = now !== null && index < now;
      showPlace(row, index === now ? "now" : index === next ? "next" : isPlayed ? "played" : "later");
    });
    this.#rows = rows;
    this.#arrange();
    this.#setActive(this.#active);
    if (focused !== undefined) this.#focus(this.#active, focused);
  }

  /** Put the rows into the document in their order. */
  #arrange() {
    const wanted = new Set(this.#rows);
    for (const row of [...this.#list.children]) {
      if (!wanted.has(/** @type {HTMLLIElement} */ (row))) row.remove();
    }
    let next = this.#list.firstElementChild;
    for (const row of this.#rows) {
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
    }
  }

  /** @returns {number | undefined} which button of the active row has the focus */
  #focusedPart() {
    const { activeElement } = document;
    if (!activeElement || !this.#list.contains(activeElement)) return undefined;
    return [...(activeElement.parentElement?.children ?? [])].indexOf(activeElement);
  }

  /** @param {number} index */
  #setActive(index) {
    this.#active = Math.max(0, Math.min(index, this.#rows.length - 1));
    for (const stop of this.#list.querySelectorAll('[tabindex="0"]')) {
      if (stop.parentElement !== this.#rows[this.#active]) setTabStops(stop.parentElement, false);
    }
    setTabStops(this.#rows[this.#active], true);
  }

  /**
   * @param {number} index
   * @param {number} part of its buttons
   */
  #focus(index, part) {
    this.#setActive(index);
    const buttons = /** @type {HTMLButtonElement[]} */ ([...(this.#rows[this.#active]?.children ?? [])]);
    const button = buttons[part]?.disabled ? buttons[1] : buttons[part];
    button?.focus();
  }

  /** @param {EventTarget | null} target */
  #indexOf(target) {
    const row = /** @type {Element} */ (target).closest("li");
    return this.#rows.indexOf(/** @type {HTMLLIElement} */ (row));
  }

  /** @param {EventTarget | null} target */
  #clicked(target) {
    const index = this.#indexOf(target);
    const button = /** @type {Element} */ (target).closest("button");
    if (index < 0 || !button || this.#drag.wasDragged) return;
    if (button.className === "grab") return this.#grabClicked(index);
    this.#sendMove();
    if (button.className === "remove") this.#hooks.onRemove(index);
    else this.#hooks.onPlay(index);
  }

  /** @param {number} index */
  #grabClicked(index) {
    if (!this.#isGrabbed) return this.#grab(index);
    if (index === this.#active) return this.#drop();
    this.#startMove(this.#active, index);
    return this.#drop();
  }

  /** @param {number} index */
  #grab(index) {
    this.#focus(index, 0);
    this.#setGrabbed(true);
    this.#hooks.announce(`Grabbed ${this.#titleAt(index)}, ${this.#placeText(index)}.`);
  }

  #drop() {
    const { active } = this.#dropped();
    this.#hooks.announce(`Dropped ${this.#titleAt(active)}, ${this.#placeText(active)}.`);
  }

  #dropped() {
    this.#setGrabbed(false);
    this.#sendMove();
    return { active: this.#active };
  }

  /** @param {boolean} isGrabbed */
  #setGrabbed(isGrabbed) {
    this.#isGrabbed = isGrabbed;
    for (const grab of this.#list.querySelectorAll('.grab[aria-pressed="true"]')) {
      grab.setAttribute("aria-pressed", "false");
    }
    this.#rows[this.#active]?.children[0].setAttribute("aria-pressed", String(isGrabbed));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const { key, altKey, ctrlKey, metaKey, shiftKey } = event;
    if (ctrlKey || metaKey || shiftKey || !this.#rows.length) return;
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
    const last = this.#rows.length - 1;
    /** @type {Record<string, number>} */
    const goals = { ArrowUp: this.#active - 1, ArrowDown: this.#active + 1, Home: 0, End: last };
    const goal = goals[key];
    if (goal !== undefined && (isAlt || this.#isGrabbed)) this.#moveTo(goal);
    else if (goal !== undefined) this.#focus(goal, this.#focusedPart() ?? 1);
    else if (key === "Escape" && this.#isGrabbed) this.#cancelGrab();
    else if (key === "Delete" && !isAlt) this.#remove();
    else return false;
    return true;
  }

  /** @param {number} goal an index, or one beyond either end */
  #moveTo(goal) {
    const to = Math.max(0, Math.min(goal, this.#rows.length - 1));
    const part = this.#focusedPart() ?? 0;
    this.#startMove(this.#active, to);
    this.#focus(to, part);
    this.#hooks.announce(`${this.#titleAt(to)}, ${this.#placeText(to)}`);
    clearTimeout(this.#moveTimer);
    if (!this.#isGrabbed) this.#moveTimer = setTimeout(() => this.#sendMove(), MOVE_PAUSE);
  }

  #cancelGrab() {
    const from = this.#move?.from ?? this.#active;
    this.#setGrabbed(false);
    this.#move = null;
    this.#active = from;
    this.#render();
    this.#hooks.announce(`Not moved: ${this.#titleAt(from)}, ${this.#placeText(from)}.`);
  }

  #remove() {
    this.#sendMove();
    if (this.#active !== this.#places.now) this.#hooks.onRemove(this.#active);
  }

  /**
   * Show a row elsewhere.
   * @param {number} from the index at which it is shown
   * @param {number} to
   */
  #startMove(from, to) {
    const isSameRow = this.#move?.to === from;
    if (this.#move && !isSameRow) this.#sendMove();
    this.#move = { from: isSameRow ? (this.#move?.from ?? from) : from, to };
    this.#active = to;
    this.#render();
  }

  /** Send the move that is shown. */
  #sendMove() {
    clearTimeout(this.#moveTimer);
    const move = this.#move;
    if (!move) return;
    const { entries, now, next } = this.#order;
    this.#move = null;
    this.#entries = entries;
    this.#places = { now, next };
    if (move.from !== move.to) this.#hooks.onMove(move.from, move.to);
  }

  /** Forget a move that has become meaningless, as another device has changed the list. */
  #endMove() {
    clearTimeout(this.#moveTimer);
    if (this.#isGrabbed) this.#hooks.announce("The queue has changed; nothing was moved.");
    this.#setGrabbed(false);
    this.#move = null;
  }

  /** @param {EventTarget | null} target */
  #focused(target) {
    const index = this.#indexOf(target);
    if (index >= 0 && index !== this.#active && !this.#isGrabbed) this.#setActive(index);
  }

  /** The focus leaves the list, perhaps for another of its rows. */
  #left() {
    setTimeout(() => {
      if (!this.#isGrabbed || this.#list.contains(document.activeElement)) return;
      this.#dropped();
    });
  }

  /** @param {number} index */
  #titleAt(index) {
    return this.#rows[index]?.querySelector(".title")?.textContent ?? "";
  }

  /** @param {number} index */
  #placeText(index) {
    return `place ${index + 1} of ${this.#rows.length}`;
  }
}

/**
 * @param {Element | null | undefined} row
 * @param {boolean} isStop
 */
function setTabStops(row, isStop) {
  for (const button of row?.children ?? []) {
    /** @type {HTMLElement} */ (button).tabIndex = isStop ? 0 : -1;
  }
}
