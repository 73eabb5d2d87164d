// @ts-check
/** The order of a queue: places after a move, and what is put back. Nothing here changes a list. */

/**
 * @template Item
 * @param {readonly Item[]} list
 * @param {number} from an index
 * @param {number} to the index of the item afterwards
 * @returns {Item[]}
 */
export function moved(list, from, to) {
  const rest = list.toSpliced(from, 1);
  return rest.toSpliced(to, 0, list[from]);
}

/**
 * @param {number | null} index of any item, null for none
 * @param {number} from
 * @param {number} to
 * @returns {number | null} the index of that item after the move of another, or of itself
 */
export function indexAfterMove(index, from, to) {
  if (index === null) return null;
  if (index === from) return to;
  if (from < index && index <= to) return index - 1;
  return to <= index && index < from ? index + 1 : index;
}

/**
 * @param {{ trackIds: readonly string[], index: number | null, repeat: string }} queue
 * @returns {number | null} the index of what plays at the end of the current track
 */
export function nextIndex({ trackIds, index, repeat }) {
  if (!trackIds.length) return null;
  if (index === null) return 0;
  if (repeat === "one") return index;
  if (index + 1 < trackIds.length) return index + 1;
  return repeat === "all" ? 0 : null;
}

/**
 * Tell places with the same track apart.
 * @param {readonly string[]} ids
 * @returns {string[]} a key for each, which it keeps while others are moved
 */
export function keysOf(ids) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  return ids.map((id) => {
    const count = counts.get(id) ?? 0;
    counts.set(id, count + 1);
    return `${count} ${id}`;
  });
}
