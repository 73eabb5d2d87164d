// @ts-check

/** @returns {string} 128 random bits; `crypto.randomUUID` is missing on pages without TLS */
export function randomId() {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (number) => number.toString(36)).join("-");
}
