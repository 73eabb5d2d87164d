// @ts-check
/**
 * Pure functions on the queue. Tracks may be in it several times, so that places are indexes; `index`
 * is the place of the current track, null where it is not in the queue: then the first one follows.
 */

/** Bytes of the ids as JSON: the server takes frames of 64 KiB. */
const MAX_BYTES = 60_000;

/**
 * @typedef {object} Places
 * @property {string[]} trackIds
 * @property {number | null} index
 */

/** @typedef {Places & { repeat: import("../../client.js").Repeat }} Queue */
/** @typedef {(queue: Places) => Places | null} Edit null where it makes no sense any more */

/**
 * The part of a list that a queue can hold: from `index` on, and what is before it if there is room.
 * @param {string[]} ids
 * @param {number} index
 * @param {number} most tracks in a queue
 * @returns {Places}
 */
export function windowOf(ids, index, most) {
  const start = Math.max(0, Math.min(index, ids.length - most));
  const trackIds = ids.slice(start, start + most);
  if (isSendable(trackIds, most)) return { trackIds, index: index - start };
  const longest = Math.max(...ids.map((id) => bytesOf([id])));
  const few = Math.floor(MAX_BYTES / longest);
  return { trackIds: ids.slice(index, index + few), index: 0 };
}

/**
 * @param {string[]} ids
 * @param {number} most tracks in a queue
 * @returns {boolean} whether the server takes a queue of these
 */
export function isSendable(ids, most) {
  return ids.length <= most && bytesOf(ids) <= MAX_BYTES;
}

/** @param {string[]} ids */
function bytesOf(ids) {
  return new TextEncoder().encode(JSON.stringify(ids)).length;
}

/**
 * The places that follow, in their order; with `repeat: all` up to the current one, around.
 * @param {Queue} queue
 * @returns {number[]}
 */
export function placesAfter({ trackIds, index, repeat }) {
  const all = [...trackIds.keys()];
  const first = (index ?? -1) + 1;
  return [...all.slice(first), ...(repeat === "all" ? all.slice(0, first) : [])];
}

/**
 * @param {Queue | null} queue
 * @returns {string[]} the tracks at the places that follow
 */
export function idsAfter(queue) {
  return queue ? placesAfter(queue).map((place) => queue.trackIds[place]) : [];
}

/**
 * @param {Queue} queue
 * @returns {number | null} the place before the current one
 */
export function placeBefore({ trackIds, index, repeat }) {
  if (index === null) return null;
  if (index > 0) return index - 1;
  return repeat === "all" ? trackIds.length - 1 : null;
}

/**
 * @param {string[]} ids
 * @returns {Edit} insert them after the current track
 */
export function insertNext(ids) {
  return ({ trackIds, index }) => {
    const at = (index ?? -1) + 1;
    return { trackIds: trackIds.toSpliced(at, 0, ...ids), index };
  };
}

/**
 * @param {number} at an index
 * @param {string[]} ids
 * @returns {Edit} insert them there
 */
export function insert(at, ids) {
  return ({ trackIds, index }) => {
    const isBefore = index !== null && at <= index;
    const place = isBefore ? index + ids.length : index;
    return { trackIds: trackIds.toSpliced(at, 0, ...ids), index: place };
  };
}

/**
 * @param {string[]} ids
 * @returns {Edit} add them at the end
 */
export function append(ids) {
  return ({ trackIds, index }) => ({ trackIds: [...trackIds, ...ids], index });
}

/**
 * @param {number} from
 * @param {number} to its place afterwards
 * @param {string} id what is expected at `from`
 * @returns {Edit}
 */
export function move(from, to, id) {
  return ({ trackIds, index }) => {
    if (trackIds[from] !== id || !(to in trackIds)) return null;
    const order = [...trackIds.keys()].toSpliced(from, 1).toSpliced(to, 0, from);
    const moved = order.map((place) => trackIds[place]);
    return { trackIds: moved, index: index === null ? null : order.indexOf(index) };
  };
}

/**
 * @param {number} at the place of the current track leaves what follows alone in the queue
 * @param {string} id what is expected at `at`
 * @returns {Edit}
 */
export function remove(at, id) {
  return ({ trackIds, index }) => {
    if (trackIds[at] !== id) return null;
    if (at === index) return { trackIds: trackIds.slice(at + 1), index: null };
    const isBefore = index !== null && at < index;
    return { trackIds: trackIds.toSpliced(at, 1), index: isBefore ? index - 1 : index };
  };
}

/**
 * @param {readonly string[]} ids
 * @param {readonly string[]} others
 * @returns {boolean} whether they differ in nothing but their order
 */
export function hasSameTracks(ids, others) {
  return JSON.stringify(ids.toSorted()) === JSON.stringify(others.toSorted());
}

/**
 * @param {readonly string[]} former ids
 * @param {boolean} isShuffled whether it makes sense only where the queue has the same tracks
 * @returns {Edit} bring back a former list
 */
export function restore(former, isShuffled) {
  return ({ trackIds, index }) => {
    if (isShuffled && !hasSameTracks(former, trackIds)) return null;
    const current = index === null ? undefined : trackIds[index];
    const isInPlace = index !== null && former[index] === current;
    const place = isInPlace ? index : former.indexOf(current ?? "");
    return { trackIds: [...former], index: place < 0 ? null : place };
  };
}

/** @type {Edit} remove what follows the current track */
export function clear({ trackIds, index }) {
  return { trackIds: trackIds.slice(0, (index ?? -1) + 1), index };
}
