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

test("a rate is set by REST wherever it plays, once more after a conflict, and here in an outage", async () => {
  for (const fixture of [new Fixture().playing(), new Fixture().following()]) {
    fixture.connection.take();
    fixture.refusals.push(true);
    const isSet = fixture.machine.setRate(1.5);
    await new Promise(setImmediate);
    fixture.pass(300);
    await isSet;
    assert.deepEqual(fixture.connection.take(), []);
    const [first, second] = fixture.updates;
    assert.deepEqual([first.trackId, first.playbackRate], ["a", 1.5]);
    assert.deepEqual([second.playbackRate, fixture.updates.length], [1.5, 2]);
  }
  const fixture = new Fixture().playing();
  fixture.connection.isConnected = false;
  fixture.machine.setRate(2);
  assert.equal(fixture.audio.targets.at(-1).rate, 2);
  assert.deepEqual(fixture.updates, []);
});
