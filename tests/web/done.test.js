/** What the user is told was done, and how it is undone. */

import assert from "node:assert/strict";
import test from "node:test";

import { Fixture, TRACKS, stateOf } from "./fakes.js";

const [A, B, C] = TRACKS;
const texts = (fixture) => fixture.done.map(({ text }) => text);
const sentIds = (fixture) => fixture.connection.take("setQueue").at(-1).data.trackIds;

test("what is added to the queue is confirmed, by its title or its number", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.machine.playNext([C]);
  fixture.machine.playNext([B, C]);
  fixture.machine.add([C]);
  fixture.machine.add([A, B, C]);
  assert.deepEqual(texts(fixture), [
    "“C” plays next",
    "2 tracks play next",
    "Added “C” to the queue",
    "Added 3 tracks to the queue",
  ]);
});

test("what is not added is not confirmed", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.disconnect();
  fixture.machine.playNext([C]);
  fixture.machine.shuffle();
  assert.deepEqual(texts(fixture), []);
  assert.equal(fixture.problems.length, 2);
});

test("a shuffle is confirmed, and undone by the former order, also at the next track", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.machine.shuffle();
  fixture.connection.take("shuffleQueue")[0].answer({});
  fixture.queue({ trackIds: ["a", "c", "b"], rev: 2, nextTrack: C });
  fixture.broadcast({ trackId: "c", rev: 3, queue: { index: 1, length: 3, repeat: "off" } });
  const [{ text, undo }] = fixture.done;
  assert.equal(text, "Shuffled what follows");
  undo();
  assert.deepEqual(fixture.machine.queue.trackIds, ["a", "b", "c"]);
  assert.equal(fixture.machine.queue.index, 2);
  assert.deepEqual(sentIds(fixture), ["a", "b", "c"]);
});

test("a shuffle of a queue that has other tracks now is not undone, and the page says so", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.machine.shuffle();
  fixture.connection.take("shuffleQueue")[0].answer({});
  fixture.queue({ trackIds: ["a", "c"], rev: 2, nextTrack: C });
  fixture.done[0].undo();
  assert.deepEqual(fixture.machine.queue.trackIds, ["a", "c"]);
  assert.match(fixture.problems[0], /changed elsewhere/);
});

test("a choice that replaces a queue edited by hand is undone by the queue and its place", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.machine.removeFromQueue(1);
  fixture.pass(12_000);
  fixture.machine.choose(B, [B]);
  assert.deepEqual(texts(fixture), ["The queue was replaced"]);
  fixture.connection.take();
  fixture.done[0].undo();
  const [{ data }] = fixture.connection.take("playTrack");
  assert.deepEqual([data.trackId, data.queue, data.queueIndex], ["a", ["a", "c"], 0]);
  assert.deepEqual([data.currentTime, fixture.audio.position], [12, 12]);
});

test("a queue that nobody has edited, or that is over, is replaced without a word", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.machine.choose(B, [B, C]);
  fixture.queue({ trackIds: ["b", "c"], rev: 3 });
  fixture.machine.removeFromQueue(1);
  fixture.machine.choose(C, TRACKS);
  assert.deepEqual(texts(fixture), []);
});

test("a queue outside of which a track plays is brought back, while that one plays on", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.machine.removeFromQueue(0);
  fixture.machine.choose(C, [C]);
  fixture.connection.take();
  fixture.done[0].undo();
  assert.deepEqual(sentIds(fixture), ["b", "c"]);
  assert.equal(fixture.machine.queue.index, 1);
});

test("a rate that falls back to 1 at another track is said once, and a chosen one is not", () => {
  const fixture = new Fixture().playing();
  fixture.broadcast({ rev: 2, playbackRate: 1.5 });
  fixture.machine.next();
  assert.deepEqual(texts(fixture), ["Speed is back to 1×"]);
  fixture.connection.take("nextTrack")[0].answer(stateOf({ rev: 3, trackId: "b" }));
  fixture.broadcast({ rev: 4, trackId: "b", playbackRate: 1.5 });
  fixture.broadcast({ rev: 5, trackId: "b" });
  assert.equal(fixture.done.length, 1);
  fixture.broadcast({ rev: 6, trackId: "b", playbackRate: 2 });
  fixture.broadcast({ rev: 7, trackId: "c" });
  assert.equal(fixture.done.length, 2);
});
