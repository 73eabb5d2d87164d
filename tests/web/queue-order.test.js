import assert from "node:assert/strict";
import { test } from "node:test";

import { indexAfterMove, keysOf, moved, nextIndex } from "../../audiostream/web/js/panels/queue-order.js";

const LIST = ["a", "b", "c", "d"];

test("an item that is moved is where it was moved to, and the others keep their order", () => {
  assert.deepEqual(moved(LIST, 0, 2), ["b", "c", "a", "d"]);
  assert.deepEqual(moved(LIST, 3, 0), ["d", "a", "b", "c"]);
  assert.deepEqual(moved(LIST, 1, 1), LIST);
  assert.deepEqual(LIST, ["a", "b", "c", "d"]);
});

test("an index leads to the same item after any move in a list", () => {
  for (let from = 0; from < LIST.length; from += 1) {
    for (let to = 0; to < LIST.length; to += 1) {
      const after = moved(LIST, from, to);
      LIST.forEach((item, index) => assert.equal(after[indexAfterMove(index, from, to)], item));
    }
  }
  assert.equal(indexAfterMove(null, 0, 1), null);
});

test("what is next depends on the place in the queue and on repeat", () => {
  const next = (index, repeat, trackIds = LIST) => nextIndex({ trackIds, index, repeat });
  assert.equal(next(1, "off"), 2);
  assert.equal(next(3, "off"), null);
  assert.equal(next(3, "all"), 0);
  assert.equal(next(1, "one"), 1);
  assert.equal(next(null, "off"), 0);
  assert.equal(next(null, "all", []), null);
});

test("places with the same track have keys of their own", () => {
  const keys = keysOf(["a", "b", "a", "a"]);
  assert.equal(new Set(keys).size, 4);
  assert.deepEqual(keysOf(["b", "a", "a", "a"]).sort(), keys.sort());
});
