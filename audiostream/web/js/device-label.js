// @ts-check
/** The name under which the server lists this tab. */

/** Characters that the server keeps of a name. */
const MAX_NAME_LENGTH = 128;

/** @returns {string} */
export function deviceName() {
  const { userAgentData, platform } = /** @type {any} */ (navigator);
  const system = userAgentData?.platform || platform || "unknown";
  return `Web player, ${system}`.slice(0, MAX_NAME_LENGTH);
}
