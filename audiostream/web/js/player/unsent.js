// @ts-check
/** Pure functions on actions whose effect is not known: not sent, not answered, or refused. */

import { NO_STATE, isSame, matches } from "./state.js";

/**
 * Seconds of time before an end that was not reported. It is reported as playing there: the server
 * takes that for a player that went on through an outage, or its restart, and an end not.
 */
const BEFORE_END = 0.5;

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Action} Action */

/**
 * @param {Pick<Action, "ended">} action
 * @returns {import("./state.js").AudioPlace | undefined} where the audio was shortly before its end
 */
export function beforeEnd({ ended }) {
  if (!ended) return undefined;
  return { ...ended, position: Math.max(0, ended.position - BEFORE_END * ended.playbackRate) };
}

/**
 * An action to be sent with the next connection. It names where the audio is then, and carries what
 * those before it have led to.
 * @param {Action} action
 * @param {State} state that it has led to here
 * @param {Action | null} earlier
 * @returns {Action}
 */
export function unsentOf(action, state, earlier) {
  return {
    ...action,
    event: state.isPlaying ? "playTrack" : "pauseTrack",
    setsQueue: action.setsQueue || earlier?.setsQueue,
    path: action.ended && [...(earlier?.path ?? []), state.trackId ?? ""],
  };
}

/**
 * How an unsent action is sent after an outage: what the user did counts if nobody has acted since.
 * That is seen by the rev, or as the state is where the audio was before, or as the server too has
 * gone on from track to track, and not further.
 * @param {Action} unsent
 * @param {State} state the server's
 * @param {State} local the state here
 * @returns {Action | null} null where the server's state is to be followed
 */
export function revived(unsent, state, local) {
  const isUntouched = [local.rev, unsent.rev].includes(state.rev);
  const isWhereItWas = unsent.before !== undefined && matches(state, unsent.before);
  const isAdvance =
    state.deviceId === local.deviceId &&
    unsent.path?.[state.rev - unsent.rev - 1] === state.trackId;
  const isFirst = state.trackId === null || unsent.rev === NO_STATE.rev;
  if (isUntouched || isWhereItWas || isAdvance || isFirst) return { ...unsent, rev: state.rev };
  // It may have taken effect, and its answer was lost: the server recognizes its id.
  const isOutcome = state.rev === unsent.rev + 1 && isSame(state, local);
  return isOutcome ? { ...unsent, isAutomatic: true } : null;
}

/**
 * Whether an action that was refused for a newer state still makes sense.
 * @param {Action} action
 * @param {State} state the server's
 * @param {State} local the state here
 */
export function isRepeatable({ event, from, isAutomatic }, { trackId }, local) {
  if (isAutomatic) return false;
  if (event === "nextTrack" || event === "previousTrack") return trackId === from;
  return local.isPlaying || trackId === local.trackId;
}
