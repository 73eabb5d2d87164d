// @ts-check
/** The menu of a row in the library's list. It shows the row's names in full. */

import { find, setNames, setText } from "../dom.js";

/** Pixels between the menu and the edge of the window. */
const MARGIN = 8;
/** Pixels that the window may scroll before the menu, which stays where it is, closes. */
const MAX_SCROLL = 40;

/** @typedef {{ label: string, act: () => void }} Entry */

export class RowMenu {
  #popover = find("row-menu");
  #menu = find("row-menu-items");
  #owner;
  /** Where the window was scrolled to when the menu opened, in pixels. */
  #scrollY = 0;

  /** @param {HTMLElement} owner what gets the focus when the menu closes */
  constructor(owner) {
    this.#owner = owner;
    this.#popover.addEventListener("toggle", (event) => this.#toggled(event));
    this.#popover.addEventListener("contextmenu", (event) => event.preventDefault());
    this.#popover.addEventListener("keydown", (event) => this.#pressed(event));
    const closeIfAway = () => Math.abs(scrollY - this.#scrollY) > MAX_SCROLL && this.close();
    addEventListener("scroll", closeIfAway, { passive: true });
  }

  /**
   * @param {{ name: string, names: (string | undefined)[] }} row
   * @param {Entry[]} entries
   * @param {{ x: number, y: number }} at pixels in the window
   */
  open({ name, names }, entries, at) {
    this.close();
    setText(find("row-menu-title"), name);
    setNames(find("row-menu-names"), names);
    this.#menu.replaceChildren(...entries.map((entry) => this.#createEntry(entry)));
    this.#scrollY = scrollY;
    this.#popover.showPopover();
    const { width, height } = this.#popover.getBoundingClientRect();
    const { style } = this.#popover;
    const isRight = at.x + width + MARGIN > innerWidth;
    const isLow = at.y + height + MARGIN > innerHeight;
    style.left = `${Math.max(MARGIN, isRight ? at.x - width : at.x)}px`;
    style.top = `${Math.max(MARGIN, isLow ? innerHeight - height - MARGIN : at.y)}px`;
    this.#buttons[0]?.focus();
  }

  close() {
    if (this.#popover.matches(":popover-open")) this.#popover.hidePopover();
  }

  /** @returns {HTMLButtonElement[]} */
  get #buttons() {
    return [...this.#menu.querySelectorAll("button")];
  }

  /** @param {Entry} entry */
  #createEntry({ label, act }) {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("role", "menuitem");
    button.textContent = label;
    button.addEventListener("click", () => {
      this.close();
      act();
    });
    return button;
  }

  /** @param {Event} event */
  #toggled(event) {
    if (/** @type {ToggleEvent} */ (event).newState === "open") return;
    const focused = document.activeElement;
    if (focused === document.body) this.#owner.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const buttons = this.#buttons;
    const at = buttons.findIndex((button) => button === document.activeElement);
    const { length } = buttons;
    /** @type {Record<string, number>} */
    const goals = { ArrowDown: at + 1, ArrowUp: at - 1 + length, Home: 0, End: length - 1 };
    if (event.key === "Tab" || event.key === "Escape") this.close();
    else if (event.key in goals) buttons[goals[event.key] % length].focus();
    event.stopPropagation(); // no key means anything else while the menu is open
    if (![" ", "Enter"].includes(event.key)) event.preventDefault();
  }
}
