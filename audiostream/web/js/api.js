// @ts-check
/** The REST API: the library, one track, and the URLs of its audio and its cover. */

/** @typedef {import("../client.js").Track} Track */

/**
 * @typedef {object} TrackPage
 * @property {Track[]} tracks
 * @property {string | null} version of the library that the tracks are from
 * @property {boolean} isScanning whether the server is reading its media folder
 */

/** The URL of the application, which may be mounted at any path. */
export const ROOT = new URL(".", document.baseURI);
const STREAMS = "api/tracks/stream/";
const COVERS = "api/tracks/cover/";
/** Milliseconds within which a server that can be reached answers. */
const REQUEST_TIMEOUT = 5_000;
const TOO_MANY_REQUESTS = 429;
const INTERNAL_SERVER_ERROR = 500;

/** A request that failed. `status` is 0 where the server did not answer. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Api {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /**
   * Check the token.
   * @throws {ApiError} 401 where the server refuses it
   */
  async check() {
    await this.#get(new URL("api/tracks/current-state", ROOT));
  }

  /**
   * The tracks that match a query, all of them for an empty one.
   * @param {string} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<TrackPage>}
   * @throws {ApiError}
   */
  async list(query, signal) {
    const url = new URL("api/tracks", ROOT);
    if (query) url.searchParams.set("q", query);
    const { body, headers } = await this.#get(url, signal);
    return {
      tracks: body.tracks,
      version: headers.get("X-Library-Version"),
      isScanning: headers.get("X-Library-Scanning") === "true",
    };
  }

  /**
   * The tracks that were played, the last one first.
   * @param {number} limit
   * @returns {Promise<import("./library/views.js").Played[]>}
   * @throws {ApiError} 404 where the server keeps no history
   */
  async history(limit) {
    const url = new URL(`api/tracks/history?limit=${limit}`, ROOT);
    return (await this.#get(url, AbortSignal.timeout(REQUEST_TIMEOUT))).body.tracks;
  }

  /**
   * One track, with a fresh ticket.
   * @param {string} id
   * @returns {Promise<Track>}
   * @throws {ApiError}
   */
  async track(id) {
    const url = new URL(`api/tracks/${encodeURIComponent(id)}`, ROOT);
    return (await this.#get(url, AbortSignal.timeout(REQUEST_TIMEOUT))).body;
  }

  /**
   * Where a track was left.
   * @param {string} id
   * @returns {Promise<number[]>} seconds, the newest first
   * @throws {ApiError}
   */
  async positions(id) {
    const url = new URL(`api/tracks/${encodeURIComponent(id)}/positions`, ROOT);
    const { positions } = (await this.#get(url, AbortSignal.timeout(REQUEST_TIMEOUT))).body;
    return positions.map((/** @type {{ position: number }} */ { position }) => position);
  }

  /**
   * Send a command.
   * @param {string} path below the API, without a slash before it
   * @param {object} data
   * @returns {Promise<Response>} a success, its body not read
   * @throws {ApiError}
   */
  post(path, data) {
    const body = JSON.stringify(data);
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT);
    return this.#request(new URL(`api/${path}`, ROOT), { method: "POST", body, signal });
  }

  /**
   * @param {URL} url
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ body: any, headers: Headers }>}
   * @throws {ApiError}
   */
  async #get(url, signal) {
    const response = await this.#request(url, { signal });
    return { body: await response.json().catch(() => ({})), headers: response.headers };
  }

  /**
   * @param {URL} url
   * @param {RequestInit} request
   * @returns {Promise<Response>} a success
   * @throws {ApiError}
   */
  async #request(url, request) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    const response = await fetch(url, { ...request, headers }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "The server does not answer.");
    });
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    throw new ApiError(response.status, body.error?.message ?? response.statusText);
  }
}

/**
 * The URL of a track's audio. The server's path has no prefix that a proxy removes; the URL of the
 * page has it.
 * @param {Track} track
 * @returns {string}
 */
export function streamUrl({ streamUrl: path }) {
  const start = path.lastIndexOf(STREAMS);
  return new URL(start < 0 ? path : path.slice(start), ROOT).href;
}

/**
 * The URL of a track's cover, which the ticket of its audio opens too.
 * @param {Track} track
 * @returns {string}
 */
export function coverUrl(track) {
  return streamUrl(track).replace(STREAMS, COVERS);
}

/**
 * Ask the server whether it has a track's audio.
 * @param {Track} track
 * @returns {Promise<boolean | undefined>} undefined where the server cannot be reached, or cannot
 *     serve the audio now
 */
export async function isServed(track) {
  const request = { method: "HEAD", signal: AbortSignal.timeout(REQUEST_TIMEOUT) };
  const response = await fetch(streamUrl(track), request).catch(() => null);
  const isUnknown =
    !response ||
    response.status >= INTERNAL_SERVER_ERROR ||
    response.status === TOO_MANY_REQUESTS;
  return isUnknown ? undefined : response.ok;
}
