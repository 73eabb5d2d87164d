// @ts-check
/** What keys, pointers and touch do in the library's list. */

import { TypeAhead } from "./type-ahead.js";

/** Milliseconds that a finger stays on a row to open its menu. */
const LONG_PRESS = 500;
/** Pixels that it may move meanwhile. */
const MAX_MOVE = 10;

/** @typedef {import("./views.js").Item} Item */
/** @typedef {import("./virtual-list.js").VirtualList} VirtualList */

/**
 * @typedef {object} Hooks
 * @property {(item: Item) => void} onChosen a tap or Enter on a row, or the button of an album
 * @property {(item: Item, isOpen: boolean) => void} onToggled an artist is opened or closed
 * @property {(item: Item, at: { x: number, y: number }) => void} onMenu where it is asked for
 */

export class ListInput {
  #list;
  #hooks;
  /** Whether the keyboard moved there since the last click on the list. */
  #isByKeyboard = false;
  #typeAhead = new TypeAhead();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pressTimer;
  /** Whether a long press has opened a menu: the click that follows is no choice. */
  #isLongPress = false;

  /**
   * @param {VirtualList} list
   * @param {Hooks} hooks
   */
  constructor(list, hooks) {
    this.#list = list;
    this.#hooks = hooks;
    const { element } = list;
    element.addEventListener("click", (event) => this.#clicked(event));
    element.addEventListener("contextmenu", (event) => this.#menuRequested(event));
    element.addEventListener("keydown", (event) => this.#pressed(event));
    element.addEventListener("focus", () => this.#focused());
    element.addEventListener("mouseover", ({ target }) => showInFull(target));
    this.#addLongPress(element);
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const index = this.#indexOf(event);
    const item = this.#list.items[index];
    if (!item || this.#isLongPress) return;
    const button = /** @type {Element} */ (event.target).closest("button");
    if (button) this.#list.element.focus({ preventScroll: true }); // its row may scroll away
    this.#isByKeyboard = false;
    this.#activate(index);
    if (button?.matches(".more")) this.#openMenu(item, cornerOf(button));
    else if (item.kind === "artist") this.#hooks.onToggled(item, !item.isOpen);
    else if (item.kind === "track" || button) this.#hooks.onChosen(item);
  }

  /** @param {MouseEvent} event */
  #menuRequested(event) {
    const index = this.#indexOf(event);
    if (!this.#list.items[index]) return;
    event.preventDefault();
    this.#activate(index);
    this.#openMenu(this.#list.items[index], { x: event.clientX, y: event.clientY });
  }

  /** @param {HTMLElement} element */
  #addLongPress(element) {
    /** @type {{ x: number, y: number }} */
    let from = { x: 0, y: 0 };
    const cancel = () => clearTimeout(this.#pressTimer);
    element.addEventListener("pointerdown", (event) => {
      cancel();
      this.#isLongPress = false;
      const index = this.#indexOf(event);
      if (event.pointerType !== "touch" || !this.#list.items[index]) return;
      from = { x: event.clientX, y: event.clientY };
      this.#pressTimer = setTimeout(() => {
        this.#isLongPress = true;
        this.#activate(index);
        this.#openMenu(this.#list.items[index], from);
      }, LONG_PRESS);
    });
    element.addEventListener("pointermove", ({ clientX, clientY }) => {
      if (Math.hypot(clientX - from.x, clientY - from.y) > MAX_MOVE) cancel();
    });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, cancel);
  }

  #focused() {
    const list = this.#list;
    this.#isByKeyboard = true; // unless a click follows
    if (list.items[list.active]) return void list.nameActive();
    // Not while a pointer is down: a row that grows would move the one that is clicked.
    if (!list.element.matches(":focus-visible")) return;
    this.#activate(list.items.length ? Math.max(0, list.firstVisible()) : -1);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const { items, active } = this.#list;
    const { key, shiftKey } = event;
    if (event.ctrlKey || event.altKey || event.metaKey || !items.length) return;
    const item = items[Math.max(0, active)];
    const goal = shiftKey ? undefined : this.#goal(key);
    if (goal !== undefined) {
      this.#isByKeyboard = true;
      this.#list.goTo(goal);
    } else if (key === "ContextMenu" || (shiftKey && key === "F10")) {
      this.#list.goTo(Math.max(0, active));
      this.#openMenu(item, this.#activePlace());
    } else if (key === "Enter" || (key === " " && this.#isByKeyboard && !event.repeat)) {
      this.#chosen(item);
    } else if (!this.#toggled(item, key)) {
      const found = this.#typeAhead.find(key, items, active);
      if (found === null) return;
      if (found !== undefined) this.#list.goTo(found);
    }
    event.preventDefault();
  }

  /** @param {Item} item */
  #chosen(item) {
    if (item.kind === "artist") this.#hooks.onToggled(item, !item.isOpen);
    else this.#hooks.onChosen(item);
  }

  /**
   * Open or close an artist by the arrows, as trees do.
   * @param {Item} item
   * @param {string} key
   * @returns {boolean} whether the key means that
   */
  #toggled(item, key) {
    if (item.isOpen === undefined || !["ArrowLeft", "ArrowRight"].includes(key)) return false;
    const isOpen = key === "ArrowRight";
    if (item.isOpen !== isOpen) this.#hooks.onToggled(item, isOpen);
    return true;
  }

  /**
   * The index that a key leads to.
   * @param {string} key
   * @returns {number | undefined}
   */
  #goal(key) {
    const { lines, edges, items, active } = this.#list;
    if (!lines) return undefined;
    const last = items.length - 1;
    const from = Math.max(0, active);
    const page = (/** @type {1 | -1} */ way) => {
      const y = lines.top(lines.lineOf(from)) + way * (edges.bottom - edges.top);
      const step = lines.lineAt(y) - way - lines.lineOf(from);
      return way > 0 ? Math.max(1, step) : Math.min(-1, step);
    };
    switch (key) {
      case "ArrowDown":
        return active < 0 ? 0 : lines.move(from, 1);
      case "ArrowUp":
        return lines.move(from, -1);
      case "PageDown":
        return lines.move(from, page(1));
      case "PageUp":
        return lines.move(from, page(-1));
      case "Home":
        return 0;
      case "End":
        return last;
    }
    const isBeside = items[from].kind === "track" && lines.columns > 1;
    if (isBeside && key === "ArrowLeft") return Math.max(0, from - 1);
    if (isBeside && key === "ArrowRight") return Math.min(last, from + 1);
    return undefined;
  }

  /** @param {number} index */
  #activate(index) {
    this.#list.active = index;
    if (this.#list.nameActive()) this.#list.render();
  }

  /**
   * @param {Item} item
   * @param {{ x: number, y: number }} at
   */
  #openMenu(item, at) {
    clearTimeout(this.#pressTimer);
    this.#hooks.onMenu(item, at);
  }

  #activePlace() {
    const { element } = this.#list;
    const row = element.querySelector(".active .more");
    return cornerOf(row ?? element);
  }

  /** @param {Event} event */
  #indexOf({ target }) {
    const row = /** @type {Element} */ (target).closest("li");
    return Number(row?.dataset.index ?? -1);
  }
}

/** @param {Element} element */
function cornerOf(element) {
  const { right, bottom } = element.getBoundingClientRect();
  return { x: right, y: bottom };
}

/**
 * Have the browser show a name that is cut off, while the mouse is over it.
 * @param {EventTarget | null} target
 */
function showInFull(target) {
  const part = /** @type {HTMLElement} */ (target);
  if (part.scrollWidth > part.clientWidth) part.title = part.textContent;
}
