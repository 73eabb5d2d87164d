import assert from "node:assert/strict";
import test from "node:test";

import { EndDetector } from "../../audiostream/web/js/player/end-detector.js";
import { Queue } from "../../audiostream/web/js/player/queue.js";
import { TRACKS } from "./fakes.js";

const [A, B, C] = TRACKS;

function queueOf(tracks, currentId = null) {
  const queue = new Queue();
  queue.setLibrary(tracks, currentId);
  return queue;
}

test("the next track is the one after it in the list where it was chosen", () => {
  const queue = queueOf(TRACKS);
  queue.setList([C, A]);
  assert.equal(queue.after("c"), A);
  assert.equal(queue.after("a"), undefined);
  assert.equal(queue.before("a"), C);
});

test("a list without the current track does not change what follows", () => {
  const queue = queueOf(TRACKS);
  queue.setList(TRACKS);
  queue.setShown([C], "a");
  assert.equal(queue.after("a"), B);
  queue.setShown([A, C], "a");
  assert.equal(queue.after("a"), C);
});

test("what follows a track that has left the library is what followed it there", () => {
  const queue = queueOf(TRACKS);
  queue.setLibrary([B, C], "a");
  assert.equal(queue.after("a"), B);
  queue.setLibrary([C], "a");
  assert.equal(queue.after("a"), undefined);
});

test("the rate stays at the next track of the album, and is 1 at any other", () => {
  const book = { album: "Book", albumArtist: "Author" };
  const tracks = [{ ...A, ...book }, { ...B, ...book }, C, { ...C, id: "d", album: "Book" }];
  const queue = queueOf(tracks);
  const state = { trackId: "a", playbackRate: 1.5 };
  assert.deepEqual(
    tracks.map((track) => queue.rateOf(track, state)),
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
