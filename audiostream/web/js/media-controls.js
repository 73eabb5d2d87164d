// @ts-check
/** The system's media controls (Media Session API): lock screens, headsets, keyboards. */

import { coverUrl } from "./api.js";

/**
 * Seconds that buttons, keys and the system's controls skip, unless they say how many: back to the
 * beginning of a sentence, on over a jingle.
 */
export const SKIP_BACK = 15;
export const SKIP_FORWARD = 30;

/** @typedef {import("./player.js").Player} Player */

export class MediaControls {
  /** @type {MediaSession | undefined} missing in some browsers, and without TLS */
  #session = "mediaSession" in navigator ? navigator.mediaSession : undefined;

  /** @param {() => Player | null} player the one to control */
  constructor(player) {
    const session = this.#session;
    if (!session) return;
    session.setActionHandler("play", () => player()?.play());
    session.setActionHandler("pause", () => player()?.pause());
    session.setActionHandler("previoustrack", () => player()?.previous());
    session.setActionHandler("nexttrack", () => player()?.next());
    session.setActionHandler("seekto", ({ seekTime }) => player()?.seek(seekTime ?? 0));
    const skip = (/** @type {number} */ step) => player()?.skip(step);
    session.setActionHandler("seekbackward", ({ seekOffset = SKIP_BACK }) => skip(-seekOffset));
    session.setActionHandler("seekforward", ({ seekOffset = SKIP_FORWARD }) => skip(seekOffset));
  }

  /** @param {import("../client.js").Track | null} track the current one */
  setTrack(track) {
    if (this.#session) this.#session.metadata = track && metadataOf(track);
  }

  /** @param {Player} player */
  update({ track, isPlaying, duration, position, rate }) {
    if (!this.#session) return;
    this.#session.playbackState = !track ? "none" : isPlaying ? "playing" : "paused";
    const within = Math.max(0, Math.min(position, duration ?? 0));
    const state = { duration, position: within, playbackRate: rate };
    this.#session.setPositionState(track && duration ? state : undefined);
  }
}

/** @param {import("../client.js").Track} track */
function metadataOf(track) {
  const { title, artist, album } = track;
  return new MediaMetadata({ title, artist, album, artwork: [{ src: coverUrl(track) }] });
}
