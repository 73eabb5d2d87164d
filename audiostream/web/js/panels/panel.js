// @ts-check
/**
 * A panel beside the player, or a sheet over it where there is no room, with the button that opens
 * it. One of them is open at a time.
 */

import { find } from "../dom.js";

/** As in css/panels.css. */
const HAS_ROOM = matchMedia("(min-width: 820px) and (min-height: 521px)");

export class Panel {
  #dialog;
  #button;
  #onOpened;
  #notices = find("notices");
  #noticesPlace = find("notices-place");

  /**
   * @param {string} id of the dialog
   * @param {string} buttonId of the button that opens and closes it
   * @param {() => void} onOpened show what is in it
   */
  constructor(id, buttonId, onOpened) {
    this.#dialog = find(id, HTMLDialogElement);
    this.#button = find(buttonId, HTMLButtonElement);
    this.#onOpened = onOpened;
    const dialog = this.#dialog;
    this.#button.addEventListener("click", () => (dialog.open ? this.close() : this.open()));
    dialog.querySelector(".close")?.addEventListener("click", () => this.close());
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("keydown", (event) => this.#pressed(event));
    document.body.addEventListener("keydown", (event) => {
      if (event.target === document.body) this.#pressed(event); // nothing has the focus
    });
    dialog.addEventListener("click", (event) => this.#clicked(event));
    HAS_ROOM.addEventListener("change", () => this.#adapt());
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open() {
    for (const other of document.querySelectorAll("dialog.panel[open]")) {
      /** @type {HTMLDialogElement} */ (other).close();
    }
    this.#show();
    this.#button.setAttribute("aria-expanded", "true");
    this.#onOpened();
  }

  close() {
    if (this.isOpen) this.#dialog.close(); // the focus goes back to where it was
  }

  #show() {
    const isKiosk = document.documentElement.classList.contains("kiosk");
    if (HAS_ROOM.matches && !isKiosk) return this.#dialog.show();
    this.#dialog.showModal();
    this.#dialog.append(this.#notices); // else it would be under the sheet, and inert
  }

  #closed() {
    if (this.isOpen) return;
    this.#button.setAttribute("aria-expanded", "false");
    this.#releaseNotices();
  }

  #releaseNotices() {
    if (this.#dialog.contains(this.#notices)) this.#noticesPlace.after(this.#notices);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.key !== "Escape" || event.defaultPrevented || !this.isOpen) return;
    event.preventDefault();
    event.stopPropagation(); // what is under the panel stays open
    this.close();
  }

  /** Become a sheet, or a panel, in a window that was resized. */
  #adapt() {
    if (!this.isOpen) return;
    this.#dialog.close();
    this.#releaseNotices();
    this.#show();
  }

  /**
   * Close a sheet by a click beside it.
   * @param {MouseEvent} event
   */
  #clicked({ target, clientX, clientY }) {
    if (target !== this.#dialog || !this.#dialog.matches(":modal")) return;
    const { left, right, top, bottom } = this.#dialog.getBoundingClientRect();
    const isInside = clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
    if (!isInside) this.close();
  }
}
