// @ts-check
/**
 * Where the access token is kept: in this tab's storage until the tab is closed, or in that of the
 * browser, until the user signs out.
 */

const TOKEN_KEY = "audiostream.token";

/** @returns {string | null} */
export function storedToken() {
  return sessionStorage.getItem(TOKEN_KEY) ?? localStorage.getItem(TOKEN_KEY);
}

/** Whether the token outlives this tab. */
export function isKept() {
  return localStorage.getItem(TOKEN_KEY) !== null;
}

/**
 * Store a token in one of the two places, and in no other.
 * @param {string} token
 * @param {boolean} isToBeKept whether it outlives this tab
 */
export function storeToken(token, isToBeKept) {
  const [place, other] = isToBeKept
    ? [localStorage, sessionStorage]
    : [sessionStorage, localStorage];
  place.setItem(TOKEN_KEY, token);
  other.removeItem(TOKEN_KEY);
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN_KEY);
  localStorage.removeItem(TOKEN_KEY);
}

/** @param {() => void} listener the token that outlived tabs was removed in another tab */
export function onForgotten(listener) {
  addEventListener("storage", ({ key, newValue }) => {
    if (key === TOKEN_KEY && newValue === null) listener();
  });
}
