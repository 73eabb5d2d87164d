// @ts-check
/** The menu: staying signed in, a QR code that signs a phone in, the keys. */

import { ApiError } from "./api.js";
import { find } from "./dom.js";
import { isKept, storeToken, storedToken } from "./token-store.js";

/** The feature of a server that draws QR codes. */
const QR = "qr";
/** What the parts of the address in a QR code are made of: the rest is encoded. */
const PATH = location.pathname;

/** @typedef {import("./api.js").Api} Api */

export class Menu {
  /** @type {Api | null} */
  #api = null;
  #stay = find("stay-signed-in", HTMLInputElement);
  #showQr = find("show-qr", HTMLButtonElement);
  #qr = find("qr", HTMLDialogElement);

  constructor() {
    this.#stay.addEventListener("change", () => {
      const token = storedToken();
      if (token) storeToken(token, this.#stay.checked);
    });
    this.#showQr.addEventListener("click", () => this.#open());
    this.#qr.addEventListener("close", () => find("qr-code", SVGElement).firstElementChild?.removeAttribute("d"));
  }

  /** @param {Api | null} api of the user who is signed in */
  show(api) {
    this.#api = api;
    this.#stay.checked = isKept();
    if (!api) this.#qr.close();
  }

  /** @param {readonly string[]} features of the server */
  setFeatures(features) {
    this.#showQr.hidden = !features.includes(QR);
  }

  async #open() {
    find("menu").hidePopover();
    find("qr-problem").textContent = "";
    this.#qr.showModal();
    try {
      await this.#draw(`${PATH}#token=${storedToken()}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      find("qr-problem").textContent = error.message;
    }
  }

  /** @param {string} path with the token in its fragment, which no server is sent in a URL */
  async #draw(path) {
    const response = await this.#api?.post("session/qr", { path });
    const drawing = new DOMParser().parseFromString((await response?.text()) ?? "", "image/svg+xml");
    const code = find("qr-code", SVGElement);
    code.setAttribute("viewBox", drawing.documentElement.getAttribute("viewBox") ?? "");
    code.firstElementChild?.setAttribute("d", drawing.querySelector("path")?.getAttribute("d") ?? "");
  }
}
