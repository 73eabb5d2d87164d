import assert from "node:assert/strict";
import test from "node:test";

import {
  clockTime,
  counted,
  spokenTime,
  withoutBidiControls,
} from "../../audiostream/web/js/format.js";
import { TypeAhead } from "../../audiostream/web/js/library/type-ahead.js";

test("a clock time has hours only where there are any", () => {
  assert.equal(clockTime(187.9), "3:07");
  assert.equal(clockTime(3723), "1:02:03");
  assert.equal(clockTime(-1), "0:00");
});

test("a spoken time leaves out what is zero", () => {
  assert.equal(spokenTime(187), "3 minutes 7 seconds");
  assert.equal(spokenTime(3601), "1 hour 1 second");
  assert.equal(spokenTime(0), "0 seconds");
});

test("a count has its noun in the singular for one alone", () => {
  assert.equal(counted(1, "track"), "1 track");
  assert.equal(counted(20_000, "track"), "20,000 tracks");
});

test("a name in the window's title keeps no control characters of bidirectional text", () => {
  assert.equal(withoutBidiControls("\u202eabc\u2069 d"), "abc d");
});

test("typed letters lead to the next title that begins with them, in a circle", () => {
  const titles = ["Song", "Other", "So far"].map((name) => ({ name, level: 1 }));
  assert.equal(new TypeAhead().find("s", titles, 0), 2);
  assert.equal(new TypeAhead().find("o", titles, 2), 1);
  const word = new TypeAhead();
  assert.equal(word.find("s", titles, -1), 2);
  assert.equal(word.find("o", titles, 2), 2);
  assert.equal(word.find(" ", titles, 2), 2);
  assert.equal(word.find("x", titles, 2), undefined);
  assert.equal(new TypeAhead().find(" ", titles, 0), null);
  assert.equal(new TypeAhead().find("Enter", titles, 0), null);
});
