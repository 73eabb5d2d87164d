import assert from "node:assert/strict";
import test from "node:test";

import { EndDetector } from "../../audiostream/web/js/player/end-detector.js";
import { Library } from "../../audiostream/web/js/player/library.js";
import * as edits from "../../audiostream/web/js/player/queue.js";
import { Fixture, TRACKS, stateOf } from "./fakes.js";

const [A, B, C] = TRACKS;
const QUEUE = { trackIds: ["a", "b", "c"], index: 1 };

/** A machine whose queue is a, b, c, with `b` playing at rev 4; a function takes what it sends. */
function editing() {
  const fixture = new Fixture();
  const queue = { index: 1, length: 3, repeat: "off" };
  fixture.broadcast({ rev: 4, trackId: "b", queue });
  fixture.queue({ index: 1, rev: 4, nextTrack: C });
  fixture.connection.take();
  return fixture;
}

test("a list of up to 1,000 tracks becomes the queue whole, a longer one from the chosen track on", () => {
  const ids = Array.from({ length: 1_500 }, (_, index) => `t${index}`);
  assert.deepEqual(edits.windowOf(ids.slice(0, 1_000), 990, 1_000).index, 990);
  const middle = edits.windowOf(ids, 100, 1_000);
  assert.deepEqual([middle.trackIds.length, middle.trackIds[0], middle.index], [1_000, "t100", 0]);
  const end = edits.windowOf(ids, 1_400, 1_000);
  assert.deepEqual([end.trackIds.length, end.trackIds[0], end.index], [1_000, "t500", 900]);
});

test("a queue of long ids fits into a frame of 64 KiB", () => {
  const ids = Array.from({ length: 1_000 }, (_, index) => `${index}${"ü".repeat(100)}`);
  const { trackIds, index } = edits.windowOf(ids, 500, 1_000);
  assert.equal(trackIds[index], ids[500]);
  assert.ok(new TextEncoder().encode(JSON.stringify(trackIds)).length < 60_000);
});

test("a server that takes shorter queues is sent the part of a list from the chosen track on", () => {
  const fixture = new Fixture();
  fixture.connection.maxQueue = 2;
  fixture.machine.choose(B, TRACKS);
  const [{ data }] = fixture.connection.take("playTrack");
  assert.deepEqual([data.trackId, data.queue, data.queueIndex], ["b", ["b", "c"], 0]);
});

test("an edit keeps the place of the current track", () => {
  assert.deepEqual(edits.move(2, 0, "c")(QUEUE), { trackIds: ["c", "a", "b"], index: 2 });
  assert.deepEqual(edits.move(1, 2, "b")(QUEUE), { trackIds: ["a", "c", "b"], index: 2 });
  assert.deepEqual(edits.remove(0, "a")(QUEUE), { trackIds: ["b", "c"], index: 0 });
  assert.deepEqual(edits.remove(2, "c")(QUEUE), { trackIds: ["a", "b"], index: 1 });
  assert.deepEqual(edits.insertNext(["x"])(QUEUE).trackIds, ["a", "b", "x", "c"]);
  assert.deepEqual(edits.append(["x"])(QUEUE).trackIds, ["a", "b", "c", "x"]);
  assert.deepEqual(edits.clear(QUEUE), { trackIds: ["a", "b"], index: 1 });
});

test("without the current track in the queue, its first track follows", () => {
  const queue = { trackIds: ["a", "b"], index: null };
  assert.deepEqual(edits.placesAfter({ ...queue, repeat: "off" }), [0, 1]);
  assert.deepEqual(edits.insertNext(["x"])(queue).trackIds, ["x", "a", "b"]);
  assert.deepEqual(edits.clear(queue).trackIds, []);
});

test("removing the current track leaves what follows it to follow", () => {
  assert.deepEqual(edits.remove(1, "b")(QUEUE), { trackIds: ["c"], index: null });
});

test("tracks are put back where they were, or at the end of a list that has become shorter", () => {
  assert.deepEqual(edits.insert(1, ["x", "y"])(QUEUE), {
    trackIds: ["a", "x", "y", "b", "c"],
    index: 3,
  });
  assert.deepEqual(edits.insert(9, ["x"])(QUEUE).trackIds, ["a", "b", "c", "x"]);
});

test("an edit of a place where something else is now makes no sense", () => {
  assert.equal(edits.remove(0, "b")(QUEUE), null);
  assert.equal(edits.move(0, 1, "c")(QUEUE), null);
  assert.equal(edits.move(0, 3, "a")(QUEUE), null);
});

test("the neighbours are around the ends where all is repeated", () => {
  const last = { trackIds: ["a", "b", "c"], index: 2 };
  assert.deepEqual(edits.placesAfter({ ...last, repeat: "off" }), []);
  assert.deepEqual(edits.placesAfter({ ...last, repeat: "all" }), [0, 1, 2]);
  const first = { ...last, index: 0 };
  assert.equal(edits.placeBefore({ ...first, repeat: "off" }), null);
  assert.equal(edits.placeBefore({ ...first, repeat: "all" }), 2);
});

test("an edit is shown at once, and sent for the rev that the user saw", () => {
  const fixture = editing();
  fixture.machine.playNext([A]);
  assert.deepEqual(fixture.machine.queue.trackIds, ["a", "b", "a", "c"]);
  assert.equal(fixture.machine.following, A);
  fixture.machine.removeFromQueue(0);
  const [first, second] = fixture.connection.take("setQueue");
  assert.deepEqual([first.data.queueIndex, first.data.ifRev], [1, 4]);
  assert.deepEqual([second.data.trackIds, second.data.queueIndex], [["b", "a", "c"], 0]);
  assert.equal(second.data.ifRev, 5);
});

test("the event of an earlier edit does not undo a later one that is not answered", () => {
  const fixture = editing();
  fixture.machine.removeFromQueue(2);
  fixture.machine.removeFromQueue(0);
  const [first, second] = fixture.connection.take("setQueue");
  fixture.queue({ trackIds: ["a", "b"], index: 1, rev: 5 });
  first.answer({});
  assert.deepEqual(fixture.machine.queue.trackIds, ["b"]);
  fixture.queue({ trackIds: ["b"], index: 0, rev: 6, nextTrack: null });
  second.answer({});
  assert.deepEqual([fixture.machine.queue.trackIds, fixture.machine.queue.rev], [["b"], 6]);
});

test("an edit that comes too late is done once more on the queue of now", () => {
  const fixture = editing();
  fixture.machine.add([A]);
  const conflict = { error: { code: "conflict", state: stateOf({ rev: 5 }) } };
  fixture.connection.take("setQueue")[0].answer(conflict);
  const [question] = fixture.connection.take("getQueue");
  fixture.queue({ trackIds: ["c"], index: null, rev: 5 }, "queue");
  question.answer({});
  const [again] = fixture.connection.take("setQueue");
  assert.deepEqual([again.data.trackIds, again.data.ifRev], [["c", "a"], 5]);
  again.answer(conflict);
  assert.deepEqual(fixture.connection.take("setQueue"), []);
  assert.match(fixture.problems[0], /changed elsewhere/);
});

test("an edit that makes no sense on the queue of now is not done, and the page says so", () => {
  const fixture = editing();
  fixture.machine.moveInQueue(2, 0);
  const conflict = { error: { code: "conflict", state: stateOf({ rev: 5 }) } };
  fixture.connection.take("setQueue")[0].answer(conflict);
  const [question] = fixture.connection.take("getQueue");
  fixture.queue({ trackIds: ["b"], index: 0, rev: 5 }, "queue");
  question.answer({});
  assert.deepEqual(fixture.connection.take("setQueue"), []);
  assert.deepEqual(fixture.machine.queue.trackIds, ["b"]);
  assert.match(fixture.problems[0], /changed elsewhere/);
});

test("a queue that would be too long, or has no connection, stays as it is and the page says why", () => {
  const fixture = editing();
  fixture.machine.add(Array.from({ length: 1_000 }, () => A));
  assert.deepEqual(fixture.problems, ["The queue holds 1,000 tracks at most; this would make 1,003."]);
  fixture.disconnect();
  fixture.machine.clearQueue();
  assert.match(fixture.problems[1], /once the server answers/);
  assert.equal(fixture.machine.queue.trackIds.length, 3);
});

test("a refused change of the queue is explained, and the server's queue is asked for", () => {
  const fixture = editing();
  fixture.machine.shuffle();
  const [{ answer }] = fixture.connection.take("shuffleQueue");
  answer({ error: { code: "rate_limited", message: "wait a moment" } });
  assert.deepEqual(fixture.problems, ["The server says: wait a moment."]);
  assert.equal(fixture.connection.take("getQueue").length, 1);
});

test("repeat is shown at once, and decides what follows", () => {
  const fixture = editing();
  fixture.machine.setRepeat("one");
  assert.deepEqual([fixture.machine.repeat, fixture.machine.following], ["one", B]);
  fixture.machine.setRepeat("all");
  assert.equal(fixture.machine.following, C);
  assert.deepEqual(
    fixture.connection.take("setRepeat").map(({ data }) => data.repeat),
    ["one", "all"],
  );
});

test("a place of the queue is played with the same queue", async () => {
  const fixture = editing();
  await fixture.machine.playFromQueue(2);
  const [{ data }] = fixture.connection.take("playTrack");
  assert.deepEqual([data.trackId, data.queueIndex, data.queue], ["c", 2, ["a", "b", "c"]]);
});

test("a command after a change of the queue by another device is for the new rev", () => {
  const fixture = editing();
  fixture.queue({ trackIds: ["b"], index: 0, rev: 5, nextTrack: null });
  fixture.machine.pause();
  assert.equal(fixture.connection.take("pauseTrack")[0].data.ifRev, 5);
  assert.equal(fixture.machine.following, null);
});

test("the rate stays at the next track of the album, and is 1 at any other", () => {
  const book = { album: "Book", albumArtist: "Author" };
  const tracks = [{ ...A, ...book }, { ...B, ...book }, C, { ...C, id: "d", album: "Book" }];
  const library = new Library();
  library.setTracks(tracks);
  const state = { trackId: "a", playbackRate: 1.5 };
  assert.deepEqual(
    tracks.map((track) => library.rateOf(track, state)),
    [1.5, 1.5, 1, 1],
  );
});

test("an end within 3 s of the duration is the end of the track", () => {
  const audio = { position: 60, duration: 60, rate: 1 };
  assert.equal(new EndDetector().endOf({ ...audio, played: 57.5 }), 60);
});

test("an early end is the end of the track once a second load ends there too", () => {
  const detector = new EndDetector();
  const audio = { position: 20, duration: 60, rate: 1 };
  assert.equal(detector.endOf({ ...audio, played: 20 }), undefined);
  assert.equal(detector.endOf({ ...audio, played: 35 }), undefined);
  assert.equal(detector.endOf({ ...audio, played: 35.4 }), 35.4);
  detector.reset();
  assert.equal(detector.endOf({ ...audio, played: 35 }), undefined);
});
