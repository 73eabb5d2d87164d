import assert from "node:assert/strict";
import test from "node:test";

import { bufferedUntil, shareAt } from "../../audiostream/web/js/seek-bar.js";
import { directionOf } from "../../audiostream/web/js/swipe.js";

test("a swipe is long, straight and quick", () => {
  assert.equal(directionOf(-80, 10, 200), "left");
  assert.equal(directionOf(80, 10, 200), "right");
  assert.equal(directionOf(5, -90, 200), "up");
  assert.equal(directionOf(5, 90, 200), "down");
  assert.equal(directionOf(0, 20, 200), null);
  assert.equal(directionOf(80, 70, 200), null);
  assert.equal(directionOf(80, 0, 3000), null);
});

test("the ends of a slider are those that its thumb reaches", () => {
  assert.equal(shareAt(7, 114), 0);
  assert.equal(shareAt(57, 114), 0.5);
  assert.equal(shareAt(114, 114), 1);
  assert.equal(shareAt(-20, 114), 0);
});

test("what is buffered is the part that the position is in", () => {
  const parts = [
    [0, 10],
    [50, 70],
  ];
  const buffered = {
    length: parts.length,
    start: (index) => parts[index][0],
    end: (index) => parts[index][1],
  };
  assert.equal(bufferedUntil({ buffered, currentTime: 55 }), 70);
  assert.equal(bufferedUntil({ buffered, currentTime: 20 }), 0);
  assert.equal(bufferedUntil({ buffered: { length: 0 }, currentTime: 0 }), 0);
});
