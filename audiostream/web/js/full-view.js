// @ts-check
/**
 * The full view of the player on a phone, into which the bar opens: a dialog over the page, with a
 * place in the browser's history, so that "back" closes it.
 */

import { find } from "./dom.js";
import { addSwipeListener } from "./swipe.js";

/** Where the player is a bar: css/responsive.css has a panel or one row elsewhere. */
const HAS_BAR = matchMedia("(max-width: 819.98px), (max-height: 520.98px)");
/** What cannot be reached while the view is open. */
const BEHIND = ["#library", "#player > header"];

export class FullView {
  #view = find("now");
  #opener = find("open-full", HTMLButtonElement);

  /** @param {() => import("./player.js").Player | null} current the player that swipes control */
  constructor(current) {
    this.#opener.addEventListener("click", () => this.open());
    addSwipeListener(this.#opener, (direction) => direction === "up" && this.open());
    find("close-full").addEventListener("click", () => this.close());
    const swipes = {
      left: () => current()?.next(),
      right: () => current()?.previous(),
      down: () => this.close(),
      up: () => {},
    };
    addSwipeListener(find("cover-frame"), (direction) => this.isOpen && swipes[direction]());
    this.#view.addEventListener("keydown", ({ key, target }) => {
      const isOwn = !(target instanceof HTMLSelectElement);
      if (key === "Escape" && this.isOpen && isOwn) this.close();
    });
    addEventListener("popstate", () => this.#show(false));
    HAS_BAR.addEventListener("change", ({ matches }) => !matches && this.close());
  }

  get isOpen() {
    return this.#view.classList.contains("is-full");
  }

  open() {
    if (this.isOpen || !HAS_BAR.matches) return;
    history.pushState({ isFullView: true }, "");
    this.#show(true);
  }

  close() {
    if (!this.isOpen) return;
    this.#show(false);
    if (history.state?.isFullView) history.back();
  }

  /** @param {boolean} isOpen */
  #show(isOpen) {
    if (isOpen === this.isOpen) return;
    this.#view.classList.toggle("is-full", isOpen);
    document.documentElement.classList.toggle("has-full-view", isOpen);
    for (const selector of BEHIND) document.querySelector(selector)?.toggleAttribute("inert", isOpen);
    if (isOpen) {
      this.#view.setAttribute("role", "dialog");
      this.#view.setAttribute("aria-modal", "true");
      find("close-full").focus();
    } else {
      this.#view.removeAttribute("role");
      this.#view.removeAttribute("aria-modal");
      this.#opener.focus();
    }
  }
}
