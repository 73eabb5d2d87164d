import assert from "node:assert/strict";
import { test } from "node:test";

import { throttled } from "../../audiostream/web/js/panels/throttle.js";

test("the first and the last of many values are sent, at most one an interval", ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const sent = [];
  const send = throttled((value) => sent.push(value), 250);
  for (let value = 0; value < 100; value += 1) {
    send(value);
    mock.timers.tick(10);
  }
  mock.timers.tick(1000);
  assert.equal(sent[0], 0);
  assert.equal(sent.at(-1), 99);
  assert.ok(sent.length <= 6, sent.join());
  send(100);
  assert.equal(sent.at(-1), 100);
});
