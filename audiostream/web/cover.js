// @ts-check
/**
 * A picture for each track, drawn from its names alone: one hue per album, one pattern per track.
 *
 * Here: drawing. Not here: where it is shown (nowplaying.js, tracklist.js).
 */

const SVG = "http://www.w3.org/2000/svg";
const BARS = 15;
/** Degrees of OKLCH that stay clear, not muddy, when a gradient darkens them. */
const HUES = [10, 35, 60, 170, 190, 215, 240, 262, 288, 315, 345];
const DEFAULT_HUE = 200;

/** @typedef {import("./catalogue.js").Track} Track */

/**
 * @param {Track | null} track
 * @returns {number} degrees of OKLCH; the same for all tracks of an album
 */
export function hueOf(track) {
  if (!track) return DEFAULT_HUE;
  const name = track.album ?? track.artist ?? track.title;
  return HUES[hash(name) % HUES.length];
}

/**
 * @param {SVGElement} svg with a view box of 100 by 100
 * @param {Track | null} track
 */
export function paintCover(svg, track) {
  const heights = Array.from({ length: BARS }, (_, index) => height(track, index));
  svg.replaceChildren(...heights.map((value, index) => bar(index, value)));
}

/**
 * @param {Track | null} track
 * @param {number} index
 * @returns {number} 0 to 1, higher towards the middle
 */
function height(track, index) {
  const swell = Math.sin(((index + 1) / (BARS + 1)) * Math.PI);
  const chance = track ? (hash(`${track.id}/${index}`) % 1000) / 1000 : 0.15;
  return 0.08 + swell * (0.15 + 0.77 * chance);
}

/**
 * @param {number} index
 * @param {number} value 0 to 1
 */
function bar(index, value) {
  const rect = document.createElementNS(SVG, "rect");
  const length = 52 * value;
  const attributes = { x: 21 + index * 4, y: 50 - length / 2, width: 2, height: length, rx: 1 };
  for (const [name, number] of Object.entries(attributes)) {
    rect.setAttribute(name, number.toFixed(2));
  }
  return rect;
}

/**
 * FNV-1a, 32 bits.
 * @param {string} text
 */
function hash(text) {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  }
  return value;
}
