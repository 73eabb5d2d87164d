// @ts-check
/**
 * The tracks, over REST.
 *
 * Here: requests, the addresses of this application, and what can go wrong on the way. Not here:
 * playing (sound.js), showing (tracklist.js).
 */

/**
 * @typedef {object} Track
 * @property {string} id
 * @property {string} title
 * @property {string} [artist]
 * @property {string} [album]
 * @property {string} [albumArtist]
 * @property {number} [disc]
 * @property {number} [trackNumber]
 * @property {number} [duration] seconds
 * @property {string} streamUrl a path with a ticket that ends some hours from now
 */

/**
 * @typedef {object} Found
 * @property {Track[]} tracks
 * @property {string | null} version of the library that they are from
 * @property {boolean} isScanning whether the server reads its media folder just now
 */

/** The application's own root: it may be mounted under any path. */
const ROOT = new URL(".", document.baseURI);
const STREAMS = "api/tracks/stream/";
const COVERS = "api/tracks/cover/";
/** Milliseconds in which the server answers, if it can be reached. */
const ANSWER_TIME = 5_000;
const SCANNING = "X-Library-Scanning";
const TOO_MANY = 429;
const SERVER_ERROR = 500;

/** A request that brought nothing. `status` is 0 where the server did not answer at all. */
export class RequestFailed extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Catalogue {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /**
   * Ask whether the server takes the token.
   * @throws {RequestFailed}
   */
  async check() {
    await this.#get(new URL("api/tracks/current-state", ROOT));
  }

  /**
   * The tracks that match, all of them for an empty query.
   * @param {string} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<Found>}
   */
  async list(query, signal) {
    const url = new URL("api/tracks", ROOT);
    if (query) url.searchParams.set("q", query);
    const { body, headers } = await this.#get(url, signal);
    const version = headers.get("X-Library-Version");
    return { tracks: body.tracks, version, isScanning: headers.get(SCANNING) === "true" };
  }

  /**
   * One track, with a fresh ticket.
   * @param {string} id
   * @returns {Promise<Track>}
   */
  async track(id) {
    const url = new URL(`api/tracks/${encodeURIComponent(id)}`, ROOT);
    return (await this.#get(url, AbortSignal.timeout(ANSWER_TIME))).body;
  }

  /**
   * @param {URL} url
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ body: any, headers: Headers }>}
   * @throws {RequestFailed}
   */
  async #get(url, signal) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    const response = await fetch(url, { headers, signal }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new RequestFailed(0, "The server does not answer.");
    });
    const body = await response.json().catch(() => ({}));
    if (response.ok) return { body, headers: response.headers };
    throw new RequestFailed(response.status, body.error?.message ?? response.statusText);
  }
}

/** @returns {URL} where the WebSocket is */
export function socketAddress() {
  const url = new URL("ws", ROOT);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/**
 * Where a track's audio is. The server knows the path it is mounted at, but not what a proxy in
 * front of it takes off; the page's own root has both.
 * @param {Track} track
 * @returns {string}
 */
export function streamAddress({ streamUrl }) {
  const known = streamUrl.lastIndexOf(STREAMS);
  return new URL(known < 0 ? streamUrl : streamUrl.slice(known), ROOT).href;
}

/** @returns {Promise<boolean>} whether the server answers */
export async function isReachable() {
  /** @type {RequestInit} */
  const request = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(ANSWER_TIME) };
  return fetch(ROOT, request).then(
    ({ status }) => status < SERVER_ERROR,
    () => false,
  );
}

/**
 * What the server has to say about a track's audio.
 * @param {Track} track
 * @returns {Promise<boolean | undefined>} whether there is any, undefined where the server cannot
 *     be reached, or cannot serve it now
 */
export async function isServed(track) {
  const request = { method: "HEAD", signal: AbortSignal.timeout(ANSWER_TIME) };
  const response = await fetch(streamAddress(track), request).catch(() => null);
  if (!response || response.status >= SERVER_ERROR || response.status === TOO_MANY) return;
  return response.ok;
}

/**
 * Where a track's picture is: the ticket of its audio is good for it too.
 * @param {Track} track
 * @returns {string}
 */
export function coverAddress(track) {
  return streamAddress(track).replace(STREAMS, COVERS);
}
