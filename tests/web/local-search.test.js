/** A search in the tracks that the page has. */

import assert from "node:assert/strict";
import test from "node:test";

import { searchLocally } from "../../audiostream/web/js/library/local-search.js";

const TRACKS = [
  { id: "1", title: "Déjà Vu", artist: "Ann", album: "Blue" },
  { id: "2", title: "Don’t Stop", artist: "Bea" },
  { id: "3", title: "夜に", artist: "Cid", album: "Both", albumArtist: "Various" },
];
const found = (query) => searchLocally(TRACKS, query).map(({ id }) => id);

test("all words are found in any of a track's names, without case, accents or punctuation", () => {
  assert.deepEqual(found("deja blue"), ["1"]);
  assert.deepEqual(found("DON'T"), ["2"]);
  assert.deepEqual(found("dont bea"), ["2"]);
  assert.deepEqual(found("夜 various"), ["3"]);
  assert.deepEqual(found("blue bea"), []);
  assert.deepEqual(found("  "), ["1", "2", "3"]);
});
