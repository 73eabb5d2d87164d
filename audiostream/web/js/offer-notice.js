// @ts-check
/** The notice with one button: what the player offers for a moment. */

import { find } from "./dom.js";

/** @typedef {import("./player/offers.js").Offer} Offer */

export class OfferNotice {
  #notice = find("offer");
  #button = find("offer-act", HTMLButtonElement);
  /** @type {Offer | null} */
  #offer = null;

  constructor() {
    this.#button.addEventListener("click", () => this.#offer?.act());
  }

  /** @param {Offer | null} offer null hides the notice */
  show(offer) {
    if (offer === this.#offer) return;
    this.#offer = offer;
    this.#notice.hidden = offer === null;
    if (offer) this.#button.textContent = offer.text;
  }
}
