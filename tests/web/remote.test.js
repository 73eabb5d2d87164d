/** Only the active device sounds: what a page does that is a remote control of another one. */

import assert from "node:assert/strict";
import test from "node:test";

import { Fixture, OTHER_ID, OWN_ID, TRACKS, stateOf } from "./fakes.js";

const [A, B] = TRACKS;
const FULL_QUEUE = { index: 0, length: 3, repeat: "off" };

test("a page that is not the active device loads no audio, and shows the position", () => {
  const fixture = new Fixture().following();
  fixture.pass(4_000);
  assert.deepEqual(fixture.audio.targets, []);
  assert.equal(fixture.machine.position, 4);
  assert.deepEqual([fixture.machine.isSounding, fixture.machine.isPlaying], [false, true]);
  assert.equal(fixture.machine.activeDevice.deviceId, OTHER_ID);
});

test("a page that shall always sound plays along with the active device", () => {
  const fixture = new Fixture({ sounds: "always" }).following();
  assert.equal(fixture.audio.isPlaying, true);
  assert.equal(fixture.audio.targets.at(-1).waits, false);
  fixture.pass(5_000);
  fixture.broadcast({ deviceId: OTHER_ID, currentTime: 20 });
  assert.equal(fixture.audio.position, 20);
  fixture.machine.ended(60);
  assert.deepEqual(fixture.connection.take(), []);
});

test("what a remote control does leaves the active device the active one", () => {
  const fixture = new Fixture().following();
  fixture.pass(4_000);
  const { machine, connection } = fixture;
  machine.pause();
  machine.play();
  machine.seek(20);
  machine.next();
  machine.choose(TRACKS[2], TRACKS);
  const sent = connection.take();
  assert.deepEqual(
    sent.map(({ event, data }) => [event, data.deviceId]),
    ["pauseTrack", "playTrack", "playTrack", "nextTrack", "playTrack"].map((e) => [e, OTHER_ID]),
  );
  assert.equal(machine.isSounding, false);
  assert.deepEqual(fixture.audio.targets, []);
});

test("an answer by which the active device is this page after all makes it sound", () => {
  const fixture = new Fixture().following();
  fixture.machine.next();
  const [{ answer }] = fixture.connection.take();
  answer({ ...stateOf({ rev: 2, trackId: "b", deviceId: OWN_ID }), track: B, nextTrack: null });
  assert.deepEqual([fixture.audio.trackId, fixture.audio.isPlaying], ["b", true]);
});

test("play here sounds at once where the other device is, and is sent as a transfer", () => {
  const fixture = new Fixture().following();
  fixture.pass(4_000);
  fixture.machine.transfer(OWN_ID, true);
  assert.deepEqual([fixture.audio.isPlaying, fixture.audio.position], [true, 4]);
  const [{ event, data, answer }] = fixture.connection.take();
  assert.equal(event, "transferPlayback");
  assert.deepEqual([data.deviceId, data.play, data.ifRev], [OWN_ID, true, 1]);
  fixture.pass(300);
  answer(stateOf({ rev: 2, currentTime: 4.1 }));
  assert.equal(fixture.audio.targets.length, 1);
  assert.equal(fixture.machine.isSounding, true);
});

test("a playback that moves to another device is silent here and goes on there", () => {
  const fixture = new Fixture().playing();
  fixture.pass(4_000);
  fixture.machine.transfer(OTHER_ID, true);
  assert.equal(fixture.audio.isPlaying, true); // until it is there
  const [{ event, data, answer }] = fixture.connection.take();
  assert.deepEqual([event, data.deviceId, data.play], ["transferPlayback", OTHER_ID, true]);
  answer(stateOf({ rev: 2, currentTime: 4, deviceId: OTHER_ID }));
  assert.deepEqual([fixture.audio.isPlaying, fixture.audio.trackId], [false, null]);
  fixture.pass(1_000);
  assert.equal(fixture.machine.position, 5);
});

test("a transfer to a device that has left is refused, and the sound stays here", () => {
  const fixture = new Fixture().playing();
  fixture.machine.transfer(OTHER_ID);
  const [{ answer }] = fixture.connection.take();
  answer({ error: { code: "device_not_found", message: "there is no such device" } });
  assert.equal(fixture.audio.isPlaying, true);
  assert.deepEqual(fixture.problems, ["The server says: there is no such device."]);
});

test("a playback whose active device has left stands still, and play goes on here", () => {
  const fixture = new Fixture().following();
  fixture.pass(4_000);
  fixture.devices();
  const [question] = fixture.connection.take();
  assert.equal(question.event, "getCurrentState");
  question.answer(stateOf({ deviceId: OTHER_ID, currentTime: 3.5, queue: FULL_QUEUE }));
  fixture.pass(2_000);
  assert.deepEqual([fixture.machine.isPlaying, fixture.machine.position], [false, 3.5]);
  assert.deepEqual(fixture.audio.targets, []);
  fixture.machine.toggle();
  const [{ event, data }] = fixture.connection.take();
  assert.deepEqual([event, data.currentTime, data.deviceId], ["playTrack", 3.5, undefined]);
  assert.equal(fixture.audio.isPlaying, true);
});

test("a track that a remote control cannot play is no notice of its page", async () => {
  const fixture = new Fixture();
  fixture.broadcast({ trackId: "gone", deviceId: OTHER_ID });
  await new Promise(setImmediate);
  assert.deepEqual(fixture.problems, []);
  assert.deepEqual(fixture.connection.take("pauseTrack", "nextTrack"), []);
});

test("a state without a device sounds on any page", () => {
  const fixture = new Fixture();
  fixture.broadcast({ deviceId: null });
  assert.deepEqual([fixture.audio.trackId, fixture.audio.isPlaying], [A.id, true]);
});
