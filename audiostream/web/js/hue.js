// @ts-check
/**
 * The hue of an album, which tints the page and stands in for its cover. The server draws covers
 * in the same hues.
 */

/** Degrees of OKLCH that stay clear, not muddy, when a gradient darkens them. */
const HUES = [10, 35, 60, 170, 190, 215, 240, 262, 288, 315, 345];
const DEFAULT_HUE = 200;

/**
 * @param {import("../client.js").Track | null} track
 * @returns {number} degrees of OKLCH; the same for all tracks of an album
 */
export function hueOf(track) {
  if (!track) return DEFAULT_HUE;
  const name = track.album || track.artist || track.title;
  return HUES[fnv1a(name) % HUES.length];
}

/**
 * FNV-1a, 32 bits.
 * @param {string} text
 */
function fnv1a(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}
