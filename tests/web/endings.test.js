/** What follows the end of the audio, and a track that cannot be played here. */

import assert from "node:assert/strict";
import test from "node:test";

import { Fixture, OTHER_ID, TRACKS, stateOf } from "./fakes.js";

const [A, B, C] = TRACKS;

test("at the end of its audio the active tab starts the next track and reports the end", () => {
  const fixture = new Fixture().playing();
  fixture.pass(60_000);
  fixture.machine.ended(60);
  assert.deepEqual([fixture.audio.trackId, fixture.audio.isPlaying], ["b", true]);
  const [{ event, data, answer }] = fixture.connection.take();
  const end = { trackId: "a", currentTime: 60, isPlaying: false, playbackRate: 1, ended: true };
  assert.deepEqual([event, data], ["updateStreaming", { ...end, ifRev: 1 }]);
  fixture.pass(200);
  answer({ ...stateOf({ rev: 2, trackId: "b", currentTime: 0 }), track: B, nextTrack: C });
  assert.equal(fixture.audio.targets.length, 2);
  assert.equal(fixture.machine.position, 0.2);
});

test("where the server goes on with another track than was expected, that one is played", () => {
  const fixture = new Fixture().playing();
  fixture.machine.ended(60);
  const [{ answer }] = fixture.connection.take();
  answer({ ...stateOf({ rev: 2, trackId: "c" }), track: C, nextTrack: null });
  assert.equal(fixture.audio.trackId, "c");
});

test("an end that comes after somebody has acted changes nothing", () => {
  const fixture = new Fixture().playing();
  fixture.machine.ended(60);
  const [{ answer }] = fixture.connection.take();
  answer({ error: { code: "conflict", state: stateOf({ rev: 2, trackId: "c" }) } });
  const [question] = fixture.connection.take();
  assert.equal(question.event, "getCurrentState");
  question.answer({ ...stateOf({ rev: 2, trackId: "c" }), track: C });
  assert.equal(fixture.audio.trackId, "c");
});

test("a repeated track begins again at its end", () => {
  const fixture = new Fixture().playing();
  fixture.queue({ repeat: "one", nextTrack: A });
  fixture.pass(60_000);
  fixture.machine.ended(60);
  assert.deepEqual([fixture.audio.trackId, fixture.audio.position], ["a", 0]);
  assert.equal(fixture.machine.queue.index, 0);
  assert.equal(fixture.machine.following, A);
});

test("the end of the queue is reported, shown as a pause there, and says nothing", () => {
  const fixture = new Fixture().playing(C);
  fixture.machine.ended(60);
  const [{ data, answer }] = fixture.connection.take();
  assert.deepEqual([data.ended, data.currentTime, data.trackId], [true, 60, "c"]);
  assert.equal(fixture.machine.isPlaying, false);
  answer(stateOf({ trackId: "c", isPlaying: false, currentTime: 60 }));
  assert.equal(fixture.audio.isPlaying, false);
  assert.deepEqual(fixture.problems, []);
});

test("the end of a file that is incomplete is explained, where nothing follows", () => {
  const fixture = new Fixture().playing(C);
  fixture.machine.ended(20);
  const rest = "Nothing follows, so playback is paused.";
  assert.deepEqual(fixture.problems, [`“C” ended early: its file is incomplete. ${rest}`]);
});

test("a track that cannot be played is skipped at once by the active tab, which says so", () => {
  const fixture = new Fixture().playing();
  fixture.machine.unplayable(0);
  const [{ event, data }] = fixture.connection.take();
  assert.deepEqual([event, data.ifRev], ["nextTrack", 1]);
  assert.equal(fixture.audio.trackId, "b");
  assert.deepEqual(fixture.problems, ["“A” cannot be played here. Skipped."]);
});

test("a track that cannot be played here is left to another device that plays it", () => {
  const fixture = new Fixture().playing();
  fixture.devices({ deviceId: OTHER_ID, trackId: "a", isPlaying: true, reportAge: 0.3 });
  fixture.machine.unplayable(0);
  assert.deepEqual(fixture.connection.take(), []);
  assert.deepEqual(fixture.problems, ["“A” plays elsewhere, but cannot be played here."]);
});

test("after 20 tracks in a row that cannot be played the playback is paused", () => {
  const fixture = new Fixture();
  const tracks = Array.from({ length: 25 }, (_, index) => ({ ...A, id: `t${index}` }));
  fixture.machine.setLibrary(tracks);
  fixture.playing(tracks[0], tracks);
  for (let failures = 1; failures <= 20; failures++) fixture.machine.unplayable(0);
  assert.equal(fixture.connection.take().at(-1).event, "pauseTrack");
  const text = "20 tracks in a row cannot be played here. Playback is paused.";
  assert.equal(fixture.problems.at(-1), text);
  assert.equal(fixture.audio.trackId, "t19");
});

test("a notice about a problem is withdrawn once audio has played for 15 s", () => {
  const fixture = new Fixture().playing();
  fixture.devices();
  fixture.machine.unplayable(0);
  fixture.machine.played(0.2);
  fixture.pass(14_900);
  fixture.machine.played(15.1);
  assert.deepEqual(fixture.recovered, []);
  fixture.pass(100);
  fixture.machine.played(15.2);
  assert.deepEqual(fixture.recovered, fixture.problems);
});

test("a paused track whose file is missing is not said to be the browser's fault", () => {
  const fixture = new Fixture();
  fixture.broadcast({ isPlaying: false });
  fixture.machine.unplayable(0, true);
  assert.deepEqual(fixture.problems, ["“A” is no longer there."]);
  assert.deepEqual(fixture.connection.take("playTrack", "pauseTrack"), []);
});

test("a track that has left the library is paused by a tab that is opened then", async () => {
  const fixture = new Fixture();
  fixture.devices();
  fixture.broadcast({ trackId: "gone", currentTime: 12 });
  await new Promise(setImmediate);
  const [{ event, data }] = fixture.connection.take("pauseTrack");
  assert.deepEqual([event, data.trackId, data.currentTime], ["pauseTrack", "gone", 12]);
  assert.match(fixture.problems[0], /“A track that is gone” cannot be played here\. .* paused\./);
});

test("the next track is loaded ahead in the last 20 s of this one, at the rate that it plays", () => {
  const fixture = new Fixture().playing();
  fixture.machine.played(39.9);
  assert.equal(fixture.audio.preloaded, null);
  fixture.machine.played(40.1);
  assert.equal(fixture.audio.preloaded, "b");
  const faster = new Fixture().playing();
  faster.broadcast({ rev: 2, playbackRate: 2 });
  faster.machine.played(20.1);
  assert.equal(faster.audio.preloaded, "b");
});

test("where all that follows around has failed the playback is paused, and the page says so", () => {
  for (const repeat of ["all", "one"]) {
    const fixture = new Fixture().playing(A, [A]);
    fixture.queue({ trackIds: ["a"], repeat, nextTrack: A });
    fixture.machine.unplayable(0);
    assert.deepEqual(fixture.connection.take().map(({ event }) => event), ["pauseTrack"]);
    assert.equal(fixture.machine.isPlaying, false);
    assert.match(fixture.problems[0], /^“A” cannot be played here\..*[Pp]layback is paused\.$/);
  }
  const fixture = new Fixture().playing(A, [A, B]);
  fixture.queue({ trackIds: ["a", "b"], repeat: "all", nextTrack: B });
  fixture.machine.unplayable(0);
  fixture.machine.unplayable(0);
  assert.equal(fixture.problems[1], "2 tracks in a row cannot be played here. Playback is paused.");
});

test("a track that is in the queue twice in a row is tried twice, and then the next one plays", () => {
  const fixture = new Fixture().playing(A, [A, A, B]);
  fixture.queue({ trackIds: ["a", "a", "b"], repeat: "off", nextTrack: A });
  fixture.machine.unplayable(0);
  assert.equal(fixture.audio.targets.at(-1).isRetried, true);
  fixture.machine.unplayable(0);
  assert.equal(fixture.audio.trackId, "b");
});

test("a notice that nothing can be played is withdrawn as soon as other music plays", () => {
  const fixture = new Fixture().playing(C);
  fixture.devices();
  fixture.machine.unplayable(0);
  fixture.machine.choose(A, TRACKS);
  fixture.machine.played(0.2);
  assert.deepEqual(fixture.recovered, fixture.problems);
});

test("one track that is repeated is not what is up next", () => {
  const fixture = new Fixture().playing();
  assert.equal(fixture.machine.upNext, B);
  fixture.queue({ repeat: "one", nextTrack: A });
  assert.equal(fixture.machine.upNext, null);
  fixture.queue({ trackIds: ["a"], repeat: "all", nextTrack: A });
  assert.equal(fixture.machine.upNext, null);
});
