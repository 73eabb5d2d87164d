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
  /** @type {{ text: string, action: Action } | null} what is shown again after any other */
  #lasting = null;

  constructor() {
    find("dismiss").addEventListener("click", () => this.#end());
  }

  /**
   * @param {string} text
   * @param {Action} [action]
   */
  show(text, action) {
    if (action && action.seconds === undefined) this.#lasting = { text, action };
    this.#notice.hidden = false;
    setQuoted(this.#notice.firstElementChild, text);
    this.#button.hidden = !action;
    this.#button.textContent = action?.label ?? "";
    this.#button.onclick = () => {
      this.#end();
      action?.act();
    };
    const shown = SHOWN + SHOWN_PER_LETTER * text.length;
    this.#hideAfter(action ? (action.seconds ?? Infinity) * 1000 : shown);
  }

  /** @param {string} [text] what to hide, if it is still shown; all if left out */
  hide(text) {
    if (text === undefined) this.#lasting = null;
    if (text === undefined || this.#text === text) this.#end();
  }

  get #text() {
    return this.#notice.firstElementChild?.textContent;
  }

  /** Hide what is shown, and show again what lasts. */
  #end() {
    clearTimeout(this.#timer);
    this.#notice.hidden = true;
    if (this.#lasting?.text === this.#text) this.#lasting = null;
    else if (this.#lasting) this.show(this.#lasting.text, this.#lasting.action);
  }

  /** @param {number} delay milliseconds; infinite for what stays */
  #hideAfter(delay) {
    clearTimeout(this.#timer);
    if (Number.isFinite(delay)) this.#timer = setTimeout(() => this.#end(), delay);
  }
}
