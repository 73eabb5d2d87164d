// @ts-check
/** The sign-in view: a form for an access token, and why the server refused one. */

import { Api, ApiError } from "./api.js";
import { find } from "./dom.js";

const UNAUTHORIZED = 401;

export class SignIn {
  #onToken;
  #field = find("token", HTMLInputElement);

  /**
   * @param {(token: string, isToBeKept: boolean) => void} onToken gets a token that the server
   *     accepts, and whether it outlives this tab
   */
  constructor(onToken) {
    this.#onToken = onToken;
    find("sign-in-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** @param {string} problem why the user is signed out, empty if they wanted it */
  show(problem) {
    find("player").hidden = true;
    find("sign-in").hidden = false;
    document.title = "audiostream";
    this.#showProblem(problem);
  }

  hide() {
    find("sign-in").hidden = true;
    find("player").hidden = false;
  }

  async #submit() {
    const token = this.#field.value.replace(/^.*#token=/, "").replace(/\s/g, "");
    if (!token) return this.#showProblem("Paste a token first.");
    const button = find("sign-in-button", HTMLButtonElement);
    button.disabled = true;
    try {
      await new Api(token).check();
      this.#field.value = "";
      this.#onToken(token, find("stay", HTMLInputElement).checked);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const isRefused = error.status === UNAUTHORIZED;
      this.#showProblem(isRefused ? refusal(error.message) : `${error.message} Is it running?`);
    } finally {
      button.disabled = false;
    }
  }

  /** @param {string} problem empty for none */
  #showProblem(problem) {
    find("sign-in-problem").textContent = problem;
    this.#field.setAttribute("aria-invalid", String(problem !== ""));
    this.#field.focus();
  }
}

/**
 * @param {string} reason of the server
 * @returns {string} a sentence for the user
 */
export function refusal(reason) {
  if (/expired/.test(reason)) return "Your sign-in has ended. Paste a fresh token to go on.";
  return `The server refused the sign-in: ${reason || "the token is not valid"}.`;
}
