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
/** Seconds in which a device that plays reports; browsers do so four times a second. */
const REPORT_AGE = 1;

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {import("../../client.js").UpdateStreaming} UpdateStreaming */
/** @typedef {import("../../client.js").QueuePlace} QueuePlace */

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
 * @property {QueuePlace} [queue] missing before the server has sent it
 * @property {Track | null} [nextTrack] what follows this track; missing while unknown
 */

/**
 * Where the audio of this tab is.
 * @typedef {object} AudioPlace
 * @property {string} trackId
 * @property {number} position seconds
 * @property {number} playbackRate
 */

/**
 * A command, or the report of an end, and the rev that it is meant for.
 * @typedef {object} Action
 * @property {Event} event
 * @property {string} commandId the same each time it is sent: it takes effect once
 * @property {number} rev
 * @property {boolean} isAutomatic whether it gives way to any other action, as no user made it
 * @property {string | null} from the id of the track that was current before
 * @property {string} [deviceId] the device that is active after it, this tab if left out
 * @property {boolean} [setsQueue] whether it is sent with the queue
 * @property {AudioPlace} [ended] where the audio has ended
 * @property {string[]} [path] the tracks that have followed each other here since `rev`
 * @property {AudioPlace} [before] where the audio was before it
 */
/**
 * @typedef {"playTrack" | "pauseTrack" | "nextTrack" | "previousTrack" | "transferPlayback"
 *     | "updateStreaming"} Event
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

/** @type {import("./ports.js").Target} where nothing is to be played */
export const NO_TARGET = { position: 0, at: 0, isPlaying: false, rate: 1, waits: false };

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
 * @param {import("../../client.js").Devices["devices"][number]} device
 * @param {string | null} trackId
 * @returns {boolean} whether it has reported just now that it plays this track
 */
export function reportsPlaying(device, trackId) {
  const isFresh = (device.reportAge ?? Infinity) < REPORT_AGE;
  return isFresh && device.isPlaying && device.trackId === trackId;
}

/**
 * The data of an action's frame.
 * @param {Action} action
 * @param {State} state that it has led to here
 * @param {string[]} trackIds of the queue
 */
export function commandOf(action, state, trackIds) {
  const { event, rev, commandId, deviceId, ended } = action;
  const ifRev = rev === NO_STATE.rev ? undefined : rev;
  if (event === "updateStreaming") return { ...reportOfAction(state, ended), ifRev };
  const common = { ifRev, commandId, ...(deviceId && { deviceId }) };
  if (event === "nextTrack" || event === "previousTrack") return common;
  if (event === "transferPlayback") return { play: state.isPlaying, ...common };
  const queue = action.setsQueue && { queue: trackIds, queueIndex: state.queue?.index };
  const currentTime = rounded(state.currentTime);
  return { trackId: state.trackId ?? "", currentTime, ...queue, ...common };
}

/**
 * @param {State} state
 * @param {AudioPlace} [ended]
 * @returns {UpdateStreaming}
 */
function reportOfAction({ trackId, currentTime, isPlaying, playbackRate }, ended) {
  if (ended) return { ...reportOf(ended), isPlaying: false, ended: true };
  const place = { trackId: trackId ?? "", position: currentTime, playbackRate };
  return { ...reportOf(place), isPlaying };
}

/**
 * @param {number} seconds
 * @returns {number} with milliseconds, as the server writes them
 */
function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
