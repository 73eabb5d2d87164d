/** What the player does when its connection is lost, and once it is back. */

import assert from "node:assert/strict";
import test from "node:test";

import { Fixture, OTHER_ID, TRACKS, stateOf } from "./fakes.js";

const [, B] = TRACKS;
const commandsOf = (fixture) => fixture.connection.take("playTrack", "pauseTrack");

test("audio plays on through an outage, and is reported before anything is asked", () => {
  const fixture = new Fixture().playing();
  fixture.pass(10_000);
  fixture.disconnect();
  fixture.pass(20_000);
  const first = fixture.reconnect({ currentTime: 30.4 });
  assert.equal(first.event, "updateStreaming");
  const report = { trackId: "a", currentTime: 30, isPlaying: true, playbackRate: 1 };
  assert.deepEqual(first.data, report);
  assert.equal(fixture.audio.targets.length, 1);
  assert.deepEqual(commandsOf(fixture), []);
});

test("after an outage a server with a known rev and another position is corrected", () => {
  const fixture = new Fixture().playing();
  fixture.disconnect();
  fixture.pass(30_000);
  fixture.reconnect({ currentTime: 8 });
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.currentTime, data.ifRev], ["playTrack", 30, 1]);
});

test("after an outage a pause elsewhere is followed", () => {
  const fixture = new Fixture().playing();
  fixture.disconnect();
  fixture.pass(5_000);
  fixture.reconnect({ rev: 2, isPlaying: false, currentTime: 2, deviceId: OTHER_ID });
  assert.equal(fixture.audio.isPlaying, false);
  assert.deepEqual(commandsOf(fixture), []);
});

test("an action during an outage takes effect here at once, and everywhere after it", () => {
  const fixture = new Fixture().playing();
  fixture.disconnect();
  fixture.machine.choose(B, TRACKS);
  assert.equal(fixture.audio.trackId, "b");
  fixture.pass(4_000);
  const first = fixture.reconnect({ currentTime: 4 });
  assert.equal(first.data.trackId, "a"); // the report is of what played before
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime, data.ifRev], ["playTrack", "b", 4, 1]);
});

test("a list that is chosen is sent once more with its tracks after a second outage", () => {
  const fixture = new Fixture().playing();
  fixture.disconnect();
  fixture.machine.choose(B, [B]);
  for (let outages = 0; outages < 2; outages++) {
    fixture.reconnect({ currentTime: 0 });
    const [{ data }] = commandsOf(fixture);
    assert.deepEqual([data.trackId, data.queue, data.queueIndex], ["b", ["b"], 0]);
    fixture.queue({}, "queue"); // the server's, as the command is still on its way
    fixture.disconnect();
  }
});

test("a refused list gives way to the server's", () => {
  const fixture = new Fixture().playing();
  fixture.machine.choose(B, [B]);
  const [command] = commandsOf(fixture);
  fixture.queue({ rev: 1 });
  command.answer({ error: { code: "invalid_message", message: "no" } });
  fixture.connection.take("getCurrentState")[0].answer(stateOf());
  fixture.queue({ rev: 1 }, "queue");
  assert.deepEqual(fixture.machine.queue.trackIds, ["a", "b", "c"]);
});

test("a track that began during an outage goes on after a restart of the server, which pauses", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.disconnect();
  fixture.audio.isPlaying = false;
  fixture.machine.ended(60);
  fixture.pass(4_000);
  const first = fixture.reconnect({ rev: 3, currentTime: 59.5 }); // it is brought back by this report
  const { trackId, currentTime, isPlaying } = first.data;
  assert.deepEqual([trackId, currentTime, isPlaying], ["a", 59.5, true]);
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime, data.ifRev], ["playTrack", "b", 4, 3]);
});

test("an action during an outage gives way to one elsewhere", () => {
  const fixture = new Fixture().playing();
  fixture.disconnect();
  fixture.machine.choose(B, TRACKS);
  fixture.reconnect({ rev: 2, isPlaying: false, currentTime: 2, deviceId: OTHER_ID });
  assert.equal(fixture.machine.track.id, "a");
  assert.equal(fixture.machine.isPlaying, false);
  assert.deepEqual(commandsOf(fixture), []);
});

test("an action during an outage counts where only its own audio made the rev new", () => {
  const fixture = new Fixture().playing();
  fixture.pass(10_000);
  fixture.disconnect();
  fixture.machine.choose(B, TRACKS);
  fixture.reconnect({ rev: 3, currentTime: 10.2 });
  const [{ data }] = commandsOf(fixture);
  assert.deepEqual([data.trackId, data.ifRev], ["b", 3]);
});

test("an action before the first state of the server counts where nothing was played yet", () => {
  const fixture = new Fixture();
  fixture.disconnect();
  fixture.machine.choose(B, TRACKS);
  fixture.reconnect({ rev: 0, trackId: null, isPlaying: false, deviceId: null });
  assert.equal(commandsOf(fixture)[0].data.trackId, "b");
});

test("a command whose answer was lost is sent again with the same command id", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  const [lost] = commandsOf(fixture);
  fixture.disconnect();
  fixture.reconnect({ currentTime: 1 });
  const [again] = commandsOf(fixture);
  assert.deepEqual([again.event, again.data.ifRev], ["pauseTrack", 1]);
  assert.equal(again.data.commandId, lost.data.commandId);
});

test("a command that may have taken effect is sent again for its own rev alone", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  const [lost] = commandsOf(fixture);
  fixture.disconnect();
  fixture.reconnect({ rev: 2, isPlaying: false, currentTime: 1 });
  const [again] = commandsOf(fixture);
  assert.equal(again.data.ifRev, 1);
  assert.equal(again.data.commandId, lost.data.commandId);
  again.answer({ error: { code: "conflict", state: stateOf({ rev: 2, isPlaying: false }) } });
  assert.deepEqual(
    fixture.connection.take().map(({ event }) => event),
    ["getCurrentState", "getQueue"],
  );
});

test("an outage in which the audio goes on from track to track does not rewind it", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.disconnect();
  fixture.machine.ended(60);
  fixture.pass(60_000);
  fixture.machine.ended(60);
  fixture.pass(5_000);
  assert.equal(fixture.audio.trackId, "c");
  fixture.reconnect({ rev: 2, trackId: "b", currentTime: 31 }); // where the server stopped
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime, data.ifRev], ["playTrack", "c", 5, 2]);
});

test("an action elsewhere counts more than tracks that have followed each other in an outage", () => {
  const fixture = new Fixture().playing();
  fixture.queue();
  fixture.disconnect();
  fixture.machine.ended(60);
  fixture.reconnect({ rev: 2, trackId: "c", currentTime: 3, deviceId: OTHER_ID });
  assert.deepEqual(commandsOf(fixture), []);
  assert.equal(fixture.machine.track.id, "c");
});

test("a list that was chosen in an outage becomes the queue after it, at the track of then", () => {
  const fixture = new Fixture().playing();
  fixture.disconnect();
  fixture.machine.choose(B, TRACKS);
  fixture.pass(60_000);
  fixture.machine.ended(60);
  fixture.pass(1_000);
  fixture.reconnect({ currentTime: 4 });
  const [{ event, data }] = commandsOf(fixture);
  assert.deepEqual([event, data.trackId, data.currentTime], ["playTrack", "c", 1]);
  assert.deepEqual([data.queue, data.queueIndex], [["a", "b", "c"], 2]);
});

test("an answer to a connection that was lost is ignored", () => {
  const fixture = new Fixture().playing();
  fixture.machine.pause();
  const [lost] = commandsOf(fixture);
  fixture.disconnect();
  lost.answer(stateOf({ rev: 9, trackId: "c" }));
  assert.equal(fixture.audio.trackId, "a");
});

test("nothing is reported before the first state of a connection, nor while it is in doubt", () => {
  const fixture = new Fixture().playing();
  const reports = () => fixture.connection.take("updateStreaming").length;
  fixture.machine.played(1);
  assert.equal(reports(), 1);
  fixture.connection.isResponding = false;
  fixture.machine.played(2);
  assert.equal(reports(), 0);
  fixture.connection.isResponding = true;
  fixture.disconnect();
  fixture.connection.isConnected = true;
  fixture.machine.played(3);
  assert.equal(reports(), 0);
});

test("a refused report of a track that has left the library is no notice", () => {
  const fixture = new Fixture().playing();
  const refusal = { event: "updateStreaming", message: "there is no such track" };
  fixture.machine.sync.receive("error", { ...refusal, code: "track_not_found" });
  assert.deepEqual(fixture.problems, []);
  fixture.machine.sync.receive("error", { ...refusal, code: "rate_limited", message: "slower" });
  assert.deepEqual(fixture.problems, ["The server says: slower."]);
});

test("the position stands still while nothing plays here, unless another device plays", () => {
  const fixture = new Fixture().playing();
  fixture.audio.isPlaying = false; // its network is silent
  fixture.pass(3_000);
  assert.equal(fixture.machine.position, 0);
  fixture.audio.isReady = false;
  fixture.broadcast({ rev: 2, deviceId: OTHER_ID, currentTime: 10 });
  fixture.audio.isPlaying = false;
  fixture.pass(3_000);
  assert.equal(fixture.machine.position, 13);
});
