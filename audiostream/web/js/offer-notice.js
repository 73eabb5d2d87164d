// @ts-check
/** The notice with one button and a cross: what the player offers for a while. */

import { find } from "./dom.js";

/** @typedef {import("./player/offers.js").Offer} Offer */

export class OfferNotice {
  #notice = find("offer");
  #button = find("offer-act", HTMLButtonElement);
  /** @type {Offer | null} */
  #offer = null;

  constructor() {
    this.#button.addEventListener("click", () => this.#offer?.act());
    const close = /** @type {HTMLElement} */ (find("dismiss").cloneNode(true));
    close.removeAttribute("id");
    close.ariaLabel = "Close the offer";
    close.addEventListener("click", () => this.#offer?.close());
    this.#notice.append(close);
  }

  /** @param {Offer | null} offer null hides the notice */
  show(offer) {
    if (offer === this.#offer) return;
    this.#offer = offer;
    this.#notice.hidden = offer === null;
    if (offer) this.#button.textContent = offer.text;
  }
}
