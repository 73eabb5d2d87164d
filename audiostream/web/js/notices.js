// @ts-check
/** The notice that is shown for a while. */

import { find, setQuoted } from "./dom.js";

/** Milliseconds that a notice is shown, and more for each of its letters. */
const SHOWN = 6_000;
const SHOWN_PER_LETTER = 60;

export class Notices {
  #notice = find("notice");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    find("dismiss").addEventListener("click", () => this.hide());
  }

  /** @param {string} text */
  show(text) {
    this.#notice.hidden = false;
    setQuoted(this.#notice.firstElementChild, text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), SHOWN + SHOWN_PER_LETTER * text.length);
  }

  /** @param {string} [text] what to hide, if it is still shown; anything if left out */
  hide(text) {
    if (text !== undefined && this.#notice.firstElementChild?.textContent !== text) return;
    clearTimeout(this.#timer);
    this.#notice.hidden = true;
  }
}
