import assert from "node:assert/strict";
import test from "node:test";

import {
  ACTIVE_TAKEOVER_DELAY,
  TAKEOVER_DELAY,
  TAKEOVER_INTERVAL,
} from "../../audiostream/web/js/player/takeover.js";
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

test("an answer that differs from the action moves the audio", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  commandsOf(fixture)[0].answer(stateOf({ rev: 5, trackId: "c", deviceId: OTHER_ID }));
  assert.equal(fixture.audio.trackId, "c");
  assert.equal(fixture.machine.isFollowing, true);
});

test("a state of another device moves the audio to its track and position", () => {
  const fixture = new Fixture().playing();
  fixture.broadcast({ rev: 2, trackId: "b", currentTime: 20, deviceId: OTHER_ID }, "trackPlaying");
  const target = fixture.audio.targets.at(-1);
  assert.deepEqual([target.trackId, target.position, target.isPlaying], ["b", 20, true]);
});

test("a tab that follows is moved by a state of the same rev", () => {
  const fixture = new Fixture().following();
  fixture.pass(5_000);
  fixture.broadcast({ deviceId: OTHER_ID, currentTime: 20 });
  assert.equal(fixture.audio.position, 20);
  assert.deepEqual(commandsOf(fixture), []);
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

test("previous goes to the track before within 3 s, and else to the beginning", () => {
  const fixture = new Fixture().playing(B);
  fixture.pass(5_000);
  fixture.machine.previous();
  assert.equal(commandsOf(fixture)[0].data.trackId, "b");
  fixture.machine.previous();
  assert.equal(commandsOf(fixture)[0].data.trackId, "a");
});

test("at the end of a track the active tab starts the next one, unless somebody has acted", () => {
  const fixture = new Fixture().playing();
  fixture.machine.ended(60);
  const [{ event, data, answer }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime, data.ifRev], ["playTrack", "b", 0, 1]);
  answer({ error: { code: "conflict", state: stateOf({ rev: 2, trackId: "c" }) } });
  assert.deepEqual(
    fixture.connection.take().map(({ event }) => event),
    ["getCurrentState"],
  );
});

test("at the end of a track a tab that follows waits for the active one, and skips nothing", () => {
  const fixture = new Fixture().following();
  fixture.machine.ended(60);
  fixture.pass(TAKEOVER_DELAY - 1);
  fixture.broadcast({ rev: 2, trackId: "b", deviceId: OTHER_ID }, "trackPlaying");
  fixture.pass(60_000);
  assert.deepEqual(fixture.connection.take(), []);
  assert.equal(fixture.audio.trackId, "b");
});

test("an answer about devices that comes after the next track has begun skips nothing", () => {
  const fixture = new Fixture().following();
  fixture.machine.ended(60);
  fixture.pass(TAKEOVER_DELAY);
  const [question] = fixture.connection.take("getDevices");
  fixture.broadcast({ rev: 2, trackId: "b", deviceId: OTHER_ID }, "trackPlaying");
  question.answer(fixture.devices());
  assert.deepEqual(fixture.connection.take(), []);
});

test("audio that loads begins where the action was, but where another device plays by now", () => {
  const own = new Fixture().playing();
  assert.equal(own.audio.targets.at(-1).waits, true);
  const following = new Fixture().following();
  assert.equal(following.audio.targets.at(-1).waits, false);
});

test("a tab that follows takes over after its delay, where the track plays nowhere else", () => {
  const fixture = new Fixture().following();
  fixture.machine.ended(60);
  fixture.pass(TAKEOVER_DELAY - 1);
  assert.deepEqual(fixture.connection.take(), []);
  fixture.pass(1);
  const [question] = fixture.connection.take("getDevices");
  question.answer(fixture.devices({ deviceId: OTHER_ID, trackId: "a", isPlaying: false }));
  const [{ data }] = commandsOf(fixture);
  assert.deepEqual([data.trackId, data.ifRev], ["b", 1]);
});

test("a tab that follows leaves a track to the device that still plays it, and asks again", () => {
  const fixture = new Fixture().following();
  fixture.machine.ended(60);
  fixture.pass(TAKEOVER_DELAY);
  const device = { deviceId: OTHER_ID, trackId: "a", isPlaying: true, reportAge: 0.3 };
  fixture.connection.take("getDevices")[0].answer(fixture.devices(device));
  assert.deepEqual(commandsOf(fixture), []);
  fixture.pass(TAKEOVER_INTERVAL);
  const [again] = fixture.connection.take("getDevices");
  again.answer(fixture.devices({ ...device, reportAge: 4 })); // it reports no more
  assert.equal(commandsOf(fixture)[0].data.trackId, "b");
});

test("a tab that takes over without a connection goes on by itself", () => {
  const fixture = new Fixture().following();
  fixture.disconnect();
  fixture.machine.ended(60);
  fixture.pass(TAKEOVER_DELAY);
  assert.equal(fixture.audio.trackId, "b");
});

test("the end of the last track pauses it there and says nothing", () => {
  const fixture = new Fixture().playing(C);
  fixture.machine.ended(60);
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.currentTime, data.ifRev], ["pauseTrack", 60, 1]);
  assert.deepEqual(fixture.problems, []);
});

test("the end of a file that is incomplete is explained, where nothing follows", () => {
  const fixture = new Fixture().playing(C);
  fixture.machine.ended(20);
  assert.equal(commandsOf(fixture)[0].data.currentTime, 20);
  const rest = "Nothing follows, so playback is paused.";
  assert.deepEqual(fixture.problems, [`“C” ended early: its file is incomplete. ${rest}`]);
});

test("a track that ends before the library is loaded is followed by the next one then", () => {
  const fixture = new Fixture({ isLibraryLoaded: false });
  fixture.broadcast({ track: A });
  fixture.machine.sync.receive("trackPlaying", { ...stateOf(), track: A });
  fixture.machine.ended(60);
  assert.deepEqual(commandsOf(fixture), []);
  fixture.machine.setLibrary(TRACKS);
  assert.equal(commandsOf(fixture)[0].data.trackId, "b");
});

test("a track that cannot be played is skipped at once by a tab that is alone", () => {
  const fixture = new Fixture().playing();
  fixture.devices();
  fixture.machine.unplayable(0);
  assert.equal(commandsOf(fixture)[0].data.trackId, "b");
  assert.deepEqual(fixture.problems, ["“A” cannot be played. Skipped."]);
});

test("a track that cannot be played here is left to another device that plays it", () => {
  const fixture = new Fixture().playing();
  const device = { deviceId: OTHER_ID, trackId: "a", isPlaying: true, reportAge: 0.3 };
  fixture.devices(device);
  fixture.machine.unplayable(0);
  fixture.pass(ACTIVE_TAKEOVER_DELAY - 1);
  assert.deepEqual(fixture.connection.take(), []);
  fixture.pass(1);
  fixture.connection.take("getDevices")[0].answer(fixture.devices(device));
  assert.deepEqual(commandsOf(fixture), []);
  assert.deepEqual(fixture.problems, ["“A” plays elsewhere, but cannot be played here."]);
});

test("after 20 tracks in a row that cannot be played the playback is paused", () => {
  const fixture = new Fixture();
  const tracks = Array.from({ length: 25 }, (_, index) => ({ ...A, id: `t${index}` }));
  fixture.machine.setLibrary(tracks);
  fixture.playing(tracks[0], tracks);
  for (let failures = 1; failures <= 20; failures++) fixture.machine.unplayable(0);
  assert.equal(commandsOf(fixture).at(-1).event, "pauseTrack");
  const text = "20 tracks in a row cannot be played. Playback is paused.";
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
  assert.deepEqual(commandsOf(fixture), []);
});

test("a track that has left the library is paused by a tab that is opened then", async () => {
  const fixture = new Fixture();
  fixture.devices();
  fixture.broadcast({ trackId: "gone", currentTime: 12 });
  await new Promise(setImmediate);
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime], ["pauseTrack", "gone", 12]);
  assert.match(fixture.problems[0], /“A track that is gone” cannot be played\. .* paused\./);
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
