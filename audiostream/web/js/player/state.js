// @ts-check
/** The values of the player's state machine, and the pure functions on them. */

/** Seconds before the duration from which a track is over. */
const END_MARGIN = 0.1;
/**
 * Seconds that the audio here may be from the server's position and still match it. It is the
 * page's own limit, not AUDIOSTREAM_SYNC_TOLERANCE: where the two differ, a report or one command
 * more brings page and server together.
 */
const MAX_DRIFT = 1;

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {import("../../client.js").UpdateStreaming} UpdateStreaming */

/**
 * The user's playback at the moment `at`.
 * @typedef {object} State
 * @property {string | null} trackId
 * @property {number} currentTime seconds
 * @property {boolean} isPlaying
 * @property {number} playbackRate
 * @property {number} [duration] seconds
 * @property {number} rev
 * @property {string | null} deviceId of the active device, null for none
 * @property {number} at milliseconds of a monotonic clock
 */

/**
 * Where the audio of this tab is.
 * @typedef {object} AudioPlace
 * @property {string} trackId
 * @property {number} position seconds
 * @property {number} playbackRate
 */

/**
 * A command, and the rev that it is meant for.
 * @typedef {object} Action
 * @property {"playTrack" | "pauseTrack"} event
 * @property {string} commandId the same each time it is sent: it takes effect once
 * @property {number} rev
 * @property {boolean} isAutomatic whether it gives way to any other action, as no user made it
 * @property {boolean} isTrackChange whether another track was current before
 * @property {AudioPlace} [before] where the audio was before it
 */

/** @type {State} before the server has sent one: none of its revs is like this one */
export const NO_STATE = {
  trackId: null,
  currentTime: 0,
  isPlaying: false,
  playbackRate: 1,
  rev: -1,
  deviceId: null,
  at: 0,
};

/**
 * Whether two states differ in nothing but the position.
 * @param {State} one
 * @param {State} other
 */
export function isSame(one, other) {
  return (
    one.trackId === other.trackId &&
    one.isPlaying === other.isPlaying &&
    one.playbackRate === other.playbackRate
  );
}

/**
 * Whether a state is where the audio is.
 * @param {State} state
 * @param {AudioPlace} place
 */
export function matches({ trackId, isPlaying, currentTime, playbackRate }, place) {
  const isNear = Math.abs(place.position - currentTime) <= MAX_DRIFT;
  return isPlaying && isNear && trackId === place.trackId && playbackRate === place.playbackRate;
}

/**
 * @param {State} state
 * @param {number} now milliseconds of the clock of `at`
 * @returns {number} the position in seconds, extrapolated to now
 */
export function positionAt({ currentTime, at, isPlaying, playbackRate, duration }, now) {
  const elapsed = isPlaying ? ((now - at) / 1000) * playbackRate : 0;
  return Math.min(currentTime + elapsed, duration ?? Infinity);
}

/**
 * @param {import("./ports.js").Target} target
 * @param {number} now milliseconds of the clock of `at`
 * @returns {number} where the audio shall be now, in seconds
 */
export function targetPosition({ position, at, isPlaying, rate }, now) {
  return isPlaying ? position + ((now - at) / 1000) * rate : position;
}

/**
 * @param {number} position seconds
 * @param {number | undefined} duration seconds
 */
export function isOver(position, duration) {
  return duration !== undefined && position >= duration - END_MARGIN;
}

/** @param {State} state */
export function hasEnded({ isPlaying, currentTime, duration }) {
  return !isPlaying && isOver(currentTime, duration);
}

/**
 * @param {number} position seconds where the audio has ended
 * @returns {boolean} whether there was none
 */
export function isEmpty(position) {
  return position < END_MARGIN;
}

/**
 * @param {AudioPlace} place
 * @returns {UpdateStreaming} the report of a player that is there
 */
export function reportOf({ trackId, position, playbackRate }) {
  return { trackId, currentTime: rounded(position), isPlaying: true, playbackRate };
}

/**
 * @param {Action} action
 * @param {string} trackId
 * @param {number} position seconds
 */
export function commandOf({ rev, commandId }, trackId, position) {
  const ifRev = rev === NO_STATE.rev ? undefined : rev;
  return { trackId, currentTime: rounded(position), ifRev, commandId };
}

/**
 * @param {number} seconds
 * @returns {number} with milliseconds, as the server writes them
 */
function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
