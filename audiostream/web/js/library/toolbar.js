// @ts-check
/** The controls of the library's list: view, order, jump to a letter, to the current row. */

import { find } from "../dom.js";
import { SORTS } from "./views.js";

/** Rows from which on a jump to a letter is of use. */
const MIN_ROWS = 30;
const STORAGE_KEY = "audiostream.library";

/** @typedef {import("./views.js").View} View */
/** @typedef {import("./views.js").Sort} Sort */

/**
 * @typedef {object} Hooks
 * @property {() => void} onChanged another view or order
 * @property {(index: number) => void} onJump to this row
 * @property {() => void} onCurrent to the row of the current track
 */

export class Toolbar {
  /** @type {View} the one that was chosen, which the server may not have */
  #view = "tracks";
  /** @type {Partial<Record<View, Sort>>} */
  #sorts = {};
  #hasHistory = false;
  #hasDates = false;
  #hooks;
  #views = find("views");
  #select = find("sort", HTMLSelectElement);
  #letters = find("letters");

  /** @param {Hooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#restore();
    this.#views.addEventListener("click", ({ target }) => this.#viewClicked(target));
    this.#select.addEventListener("change", () => this.#sortChosen());
    find("to-current").addEventListener("click", () => hooks.onCurrent());
    this.#letters.addEventListener("click", ({ target }) => this.#letterClicked(target));
    this.#letters.addEventListener("keydown", (event) => event.stopPropagation());
    this.#show();
  }

  /** @returns {View} */
  get view() {
    return this.#view === "recent" && !this.#hasHistory ? "tracks" : this.#view;
  }

  /** @returns {Sort} */
  get sort() {
    const sorts = this.#known(this.view);
    const chosen = this.#sorts[this.view];
    return chosen && sorts.includes(chosen) ? chosen : (sorts[0] ?? "artist");
  }

  /** @param {boolean} hasHistory whether the server has one */
  setHistory(hasHistory) {
    this.#hasHistory = hasHistory;
    this.#show();
  }

  /** @param {boolean} hasDates whether the server sends when tracks were added */
  setDates(hasDates) {
    this.#hasDates = hasDates;
    this.#show();
  }

  /**
   * @param {{ letter: string, index: number }[]} letters that lead to a row
   * @param {number} rows
   */
  setLetters(letters, rows) {
    find("letters-open").hidden = letters.length < 2 || rows < MIN_ROWS;
    const buttons = letters.map(({ letter, index }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.index = String(index);
      button.textContent = letter;
      return button;
    });
    this.#letters.replaceChildren(...buttons);
  }

  /** @param {boolean} isShown whether the list has the current track */
  setCurrent(isShown) {
    find("to-current").hidden = !isShown;
  }

  /** @param {View} view */
  #known(view) {
    return SORTS[view].filter((sort) => sort !== "added" || this.#hasDates);
  }

  #show() {
    for (const button of this.#views.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === this.view));
      if (button.value === "recent") button.hidden = !this.#hasHistory;
    }
    const sorts = this.#known(this.view);
    for (const option of this.#select.options) {
      option.hidden = option.disabled = !sorts.includes(/** @type {Sort} */ (option.value));
    }
    this.#select.value = this.sort;
    find("sorting").hidden = sorts.length < 2;
  }

  /** @param {EventTarget | null} target */
  #viewClicked(target) {
    const button = /** @type {Element} */ (target).closest("button");
    if (!button || button.value === this.view) return;
    this.#view = /** @type {View} */ (button.value);
    this.#changed();
  }

  #sortChosen() {
    this.#sorts[this.view] = /** @type {Sort} */ (this.#select.value);
    this.#changed();
  }

  #changed() {
    this.#show();
    const chosen = JSON.stringify({ view: this.#view, sorts: this.#sorts });
    localStorage.setItem(STORAGE_KEY, chosen);
    this.#hooks.onChanged();
  }

  /** Choose what was chosen before, if it can be read. */
  #restore() {
    try {
      const { view, sorts } = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") ?? {};
      if (Object.hasOwn(SORTS, view)) this.#view = view;
      this.#sorts = { ...sorts };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }

  /** @param {EventTarget | null} target */
  #letterClicked(target) {
    const button = /** @type {Element} */ (target).closest("button");
    if (!button) return;
    this.#letters.hidePopover();
    this.#hooks.onJump(Number(button.dataset.index));
  }
}
