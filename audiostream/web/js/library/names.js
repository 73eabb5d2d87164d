// @ts-check
/** Names as keys: for comparison, for sorting, and by their first letter. */

/** @type {Record<string, string>} letters that Unicode does not decompose, as the server sorts them */
const BASE_LETTERS = {
  ...{ ø: "o", ł: "l", đ: "d", ħ: "h", ı: "i", ð: "d" },
  ...{ ß: "ss", æ: "ae", œ: "oe", þ: "th" },
};
const SPECIAL = new RegExp(`[${Object.keys(BASE_LETTERS).join("")}]`, "g");
/**
 * Scripts with more letters than a person could choose from, each with one that stands for all.
 * @type {[RegExp, string][]}
 */
const LARGE_SCRIPTS = [
  [/\p{Script=Han}/u, "漢"],
  [/\p{Script=Hangul}/u, "한"],
  [/\p{Script=Hiragana}|\p{Script=Katakana}/u, "か"],
];
/** What stands for all first characters that are no letters. */
export const NO_LETTER = "#";

/**
 * @param {string} name
 * @returns {string} without case, accents and invisible characters
 */
export function fold(name) {
  if (/^[ -~]*$/.test(name)) return name.toLowerCase();
  const plain = name.normalize("NFKD").replace(/[\p{M}\p{Cf}]/gu, "");
  return plain.toLowerCase().replace(SPECIAL, (letter) => BASE_LETTERS[letter]);
}

/**
 * A key that sorts "track 10" after "track 9", whatever the language of the page.
 * @param {string} name
 */
export function sortKey(name) {
  return fold(name).replace(/\d+/g, (digits) => {
    const significant = digits.replace(/^0+/, "");
    return String(significant.length).padStart(4, "0") + significant;
  });
}

/**
 * @param {string} name
 * @returns {string} the capital letter under which a person looks for it
 */
export function letterOf(name) {
  const [first = ""] = fold(name).trimStart();
  if (!/\p{L}/u.test(first)) return NO_LETTER;
  const script = LARGE_SCRIPTS.find(([pattern]) => pattern.test(first));
  return script ? script[1] : first.toUpperCase();
}

/**
 * Sort by keys that are made once for each item; equal ones keep their order.
 * @template T
 * @param {readonly T[]} items
 * @param {(item: T) => string | number} keyOf
 * @returns {T[]}
 */
export function sortedBy(items, keyOf) {
  const keyed = items.map((item) => /** @type {const} */ ([keyOf(item), item]));
  keyed.sort(([one], [other]) => (one < other ? -1 : Number(one > other)));
  return keyed.map(([, item]) => item);
}
