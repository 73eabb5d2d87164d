import assert from "node:assert/strict";
import test from "node:test";

import { Fixture, OTHER_ID, TRACKS, stateOf } from "./fakes.js";

const [A, B, C] = TRACKS;
const commandsOf = (fixture) => fixture.connection.take("playTrack", "pauseTrack");

test("a user's action moves the audio at once and is sent with its rev and a command id", () => {
  const fixture = new Fixture();
  fixture.broadcast({ isPlaying: false, rev: 7, currentTime: 12 });
  fixture.machine.play();
  assert.equal(fixture.audio.isPlaying, true);
  const [{ event, data }] = commandsOf(fixture);
  assert.equal(event, "playTrack");
  assert.deepEqual(data, { trackId: "a", currentTime: 12, ifRev: 7, commandId: "command-1" });
});

test("an action before the server has sent any state names no rev", () => {
  const fixture = new Fixture();
  fixture.machine.choose(B, TRACKS);
  assert.equal(commandsOf(fixture)[0].data.ifRev, undefined);
});

test("two actions in a row name the revs that they lead to", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  fixture.machine.play();
  assert.deepEqual(
    commandsOf(fixture).map(({ data }) => data.ifRev),
    [1, 2],
  );
});

test("a broadcast before the answer to an action is outdated and ignored", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  fixture.broadcast({ rev: 2, currentTime: 30 });
  assert.equal(fixture.machine.isPlaying, false);
  const [{ answer }] = commandsOf(fixture);
  answer(stateOf({ rev: 3, isPlaying: false }));
  fixture.broadcast({ rev: 4, currentTime: 30, deviceId: OTHER_ID });
  assert.equal(fixture.machine.isPlaying, true);
});

test("the answer to an action leaves the audio where it has gone on to", () => {
  const fixture = new Fixture();
  fixture.machine.choose(A, TRACKS);
  fixture.pass(800);
  commandsOf(fixture)[0].answer(stateOf());
  assert.equal(fixture.audio.targets.length, 1);
  assert.equal(fixture.machine.position, 0.8);
});

test("a state of a known rev does not move the active tab, which corrects it beyond 1 s", () => {
  const fixture = new Fixture().playing();
  fixture.pass(10_000);
  fixture.broadcast({ currentTime: 4 });
  assert.equal(fixture.audio.position, 10);
  const [{ event, data }] = commandsOf(fixture);
  assert.equal(event, "playTrack");
  assert.deepEqual([data.currentTime, data.ifRev], [10, 1]);
});

test("a state of a known rev within 1 s of the active tab's audio is left as it is", () => {
  const fixture = new Fixture().playing();
  fixture.pass(10_000);
  fixture.broadcast({ currentTime: 9.1 });
  assert.equal(fixture.audio.targets.length, 1);
  assert.deepEqual(commandsOf(fixture), []);
});

test("a state of a known rev moves the active tab while the track plays on another device", () => {
  const fixture = new Fixture().playing();
  fixture.devices({ deviceId: OTHER_ID, trackId: "a", isPlaying: true, reportAge: 0.2 });
  fixture.pass(10_000);
  fixture.broadcast({ currentTime: 4 });
  assert.equal(fixture.audio.position, 4);
});

test("an action of the user that loses a race is sent again for the newer rev", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  const [first] = commandsOf(fixture);
  first.answer({ error: { code: "conflict", state: stateOf({ rev: 2, currentTime: 9 }) } });
  const [second] = commandsOf(fixture);
  assert.equal(second.data.ifRev, 2);
  assert.equal(second.data.commandId, first.data.commandId);
  assert.equal(fixture.machine.isPlaying, false);
});

test("an action that the server refuses leads to the server's state", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  commandsOf(fixture)[0].answer({ error: { code: "rate_limited", message: "wait a moment" } });
  assert.deepEqual(fixture.problems, ["The server says: wait a moment."]);
  const [question] = fixture.connection.take("getCurrentState");
  question.answer(stateOf({ rev: 1, currentTime: 3 }));
  assert.equal(fixture.machine.isPlaying, true);
});

test("seeking keeps to the track and to whether it plays", () => {
  const fixture = new Fixture().playing();
  fixture.machine.seek(75);
  assert.deepEqual(
    commandsOf(fixture).map(({ event, data }) => [event, data.currentTime]),
    [["playTrack", 60]],
  );
  fixture.machine.pause();
  fixture.machine.seek(-5);
  assert.deepEqual(
    commandsOf(fixture).map(({ event, data }) => [event, data.currentTime])[1],
    ["pauseTrack", 0],
  );
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
  assert.deepEqual(commandsOf(fixture), []);
});

test("a track that has left the library is paused by a tab that is opened then", async () => {
  const fixture = new Fixture();
  fixture.devices();
  fixture.broadcast({ trackId: "gone", currentTime: 12 });
  await new Promise(setImmediate);
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime], ["pauseTrack", "gone", 12]);
  assert.match(fixture.problems[0], /“A track that is gone” cannot be played here\. .* paused\./);
});

test("a track that is loaded too late, after a newer state, is not played", async () => {
  let loaded = () => {};
  const loadTrack = () => new Promise((resolve) => (loaded = resolve));
  const fixture = new Fixture({ loadTrack });
  fixture.broadcast({ trackId: "x" });
  fixture.broadcast({ rev: 2, trackId: "b" });
  loaded({ ...A, id: "x" });
  await new Promise(setImmediate);
  assert.equal(fixture.audio.trackId, "b");
});

test("a media key that starts or pauses the element is an action of the user", () => {
  const fixture = new Fixture().playing();
  fixture.machine.audioToggled(false, 3);
  fixture.machine.audioToggled(true, 3);
  assert.deepEqual(
    commandsOf(fixture).map(({ event, data }) => [event, data.currentTime]),
    [
      ["pauseTrack", 3],
      ["playTrack", 3],
    ],
  );
});

test("a chosen track is played at once with its list as the queue, and sent so", () => {
  const fixture = new Fixture();
  fixture.machine.choose(B, TRACKS);
  const [{ event, data }] = commandsOf(fixture);
  assert.equal(event, "playTrack");
  assert.deepEqual([data.queue, data.queueIndex], [["a", "b", "c"], 1]);
  assert.equal(fixture.machine.following, C);
  assert.deepEqual(fixture.machine.queue.index, 1);
});

test("play begins the queue where nothing was played, and without one what is shown", () => {
  const fixture = new Fixture();
  fixture.machine.setShown([C, A]);
  fixture.machine.play();
  assert.deepEqual(commandsOf(fixture)[0].data.queue, ["c", "a"]);
  const other = new Fixture();
  other.queue({ trackIds: ["b", "a"], index: null, nextTrack: B });
  other.machine.play();
  assert.equal(commandsOf(other)[0].data.trackId, "b");
});

test("the next track that the server sent starts at once, and nextTrack is sent", () => {
  const fixture = new Fixture().playing();
  fixture.machine.next();
  assert.equal(fixture.audio.trackId, "b");
  const [{ event, data, answer }] = fixture.connection.take("nextTrack");
  assert.deepEqual([event, data], ["nextTrack", { ifRev: 1, commandId: "command-2" }]);
  const queue = { index: 1, length: 3, repeat: "off" };
  answer({ ...stateOf({ rev: 2, trackId: "b", queue }), track: B, nextTrack: C });
  assert.equal(fixture.audio.targets.length, 2);
  assert.equal(fixture.machine.following, C);
});

test("a next that loses a race against the end of the track skips nothing", () => {
  const fixture = new Fixture().playing();
  fixture.machine.next();
  const [{ answer }] = fixture.connection.take("nextTrack");
  answer({ error: { code: "conflict", state: stateOf({ rev: 2, trackId: "b" }) } });
  assert.deepEqual(fixture.connection.take("nextTrack"), []);
});

test("a next that loses a race against a pause is sent again", () => {
  const fixture = new Fixture().playing();
  fixture.machine.next();
  const [{ answer }] = fixture.connection.take("nextTrack");
  answer({ error: { code: "conflict", state: stateOf({ rev: 2, isPlaying: false }) } });
  assert.equal(fixture.connection.take("nextTrack")[0].data.ifRev, 2);
});

test("next with a repeated track goes to the next place of the queue", () => {
  const fixture = new Fixture().playing();
  fixture.queue({ repeat: "one", nextTrack: A });
  fixture.machine.next();
  assert.equal(fixture.audio.trackId, "b");
});

test("previous goes to the place before within 3 s, and else to the beginning", () => {
  const fixture = new Fixture().playing(B);
  fixture.pass(5_000);
  fixture.machine.previous();
  const [{ event, data }] = fixture.connection.take();
  assert.deepEqual([event, data.trackId, data.currentTime], ["playTrack", "b", 0]);
  fixture.machine.previous();
  assert.equal(fixture.connection.take()[0].event, "previousTrack");
  assert.equal(fixture.audio.trackId, "a");
});

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

test("a rate that is set here is heard at once and reported, and of another device sent by REST", () => {
  const fixture = new Fixture().playing();
  fixture.machine.setRate(1.5);
  assert.equal(fixture.audio.targets.at(-1).rate, 1.5);
  const [{ event, data }] = fixture.connection.take();
  assert.deepEqual([event, data.playbackRate, data.isPlaying], ["updateStreaming", 1.5, true]);
  const remote = new Fixture().following();
  remote.machine.setRate(1.5);
  assert.deepEqual(remote.connection.take(), []);
  assert.deepEqual([remote.updates[0].trackId, remote.updates[0].playbackRate], ["a", 1.5]);
});
