// @ts-check
/** What the devices of a list are called, so that no two of them have the same name. */

const UNNAMED = "Unnamed device";

/**
 * @param {{ deviceName: string | null }[]} devices in the order of the server's list
 * @returns {string[]} their names, of equal ones the second with a number: "Chrome, Linux (2)"
 */
export function distinctNames(devices) {
  const taken = new Set(devices.map(({ deviceName }) => deviceName));
  /** @type {Map<string, number>} how many have this name so far */
  const counts = new Map();
  return devices.map(({ deviceName }) => {
    const name = deviceName || UNNAMED;
    let count = (counts.get(name) ?? 0) + 1;
    while (count > 1 && taken.has(`${name} (${count})`)) count += 1;
    counts.set(name, count);
    return count > 1 ? `${name} (${count})` : name;
  });
}
