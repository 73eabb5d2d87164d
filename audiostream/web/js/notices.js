// @ts-check
/** The notice that is shown for a while, or until what it asks for is done. */

import { find, setQuoted } from "./dom.js";

/** Milliseconds that a notice is shown, and more for each of its letters. */
const SHOWN = 6_000;
const SHOWN_PER_LETTER = 60;

/**
 * @typedef {object} Action what the button of a notice does
 * @property {string} label
 * @property {() => void} act
 * @property {number} [seconds] how long it is offered; else until the user chooses or dismisses it
 */

export class Notices {
  #notice = find("notice");
  #button = find("notice-action", HTMLButtonElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    find("dismiss").addEventListener("click", () => this.hide());
  }

  /**
   * @param {string} text
   * @param {Action} [action]
   */
  show(text, action) {
    this.#notice.hidden = false;
    setQuoted(this.#notice.firstElementChild, text);
    this.#button.hidden = !action;
    this.#button.textContent = action?.label ?? "";
    this.#button.onclick = () => {
      this.hide();
      action?.act();
    };
    const shown = SHOWN + SHOWN_PER_LETTER * text.length;
    this.#hideAfter(action ? (action.seconds ?? Infinity) * 1000 : shown);
  }

  /** @param {string} [text] what to hide, if it is still shown; anything if left out */
  hide(text) {
    if (text !== undefined && this.#notice.firstElementChild?.textContent !== text) return;
    clearTimeout(this.#timer);
    this.#notice.hidden = true;
  }

  /** @param {number} delay milliseconds; infinite for what stays */
  #hideAfter(delay) {
    clearTimeout(this.#timer);
    if (Number.isFinite(delay)) this.#timer = setTimeout(() => this.hide(), delay);
  }
}
