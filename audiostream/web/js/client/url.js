// @ts-check
/** Where the server is mounted, and whether it answers there. */

/** Milliseconds within which a server that can be reached answers a plain request. */
const REQUEST_TIMEOUT = 5_000;
const INTERNAL_SERVER_ERROR = 500;

/**
 * @param {string} url as socket.io takes it: ws:, http:, a bare host with its port, or a path
 * @returns {URL} of HTTP, with a path that ends in a slash
 */
export function baseOf(url) {
  const here = globalThis.location?.href;
  const scheme = here?.startsWith("http:") ? "http://" : "https://";
  const full = /^(\w+:\/)?\//.test(url) ? url.replace(/^ws/, "http") : scheme + url;
  const base = new URL(full, here);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}

/**
 * @param {string} url
 * @returns {Promise<boolean>} whether a server answers there
 */
export function isAnswering(url) {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT);
  return fetch(url, { method: "HEAD", cache: "no-store", signal }).then(
    ({ status }) => status < INTERNAL_SERVER_ERROR,
    () => false,
  );
}
