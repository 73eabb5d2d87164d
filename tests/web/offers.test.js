import assert from "node:assert/strict";
import test from "node:test";

import { OFFER_TIME, RESUME_TIME } from "../../audiostream/web/js/player/offers.js";
import { Fixture, TRACKS } from "./fakes.js";

const TALK = { ...TRACKS[0], id: "talk", duration: 3_600 };
const settled = () => new Promise(setImmediate);

async function talk(positions, track = TALK) {
  const fixture = new Fixture();
  fixture.positions = positions;
  fixture.machine.setLibrary([track, ...TRACKS]);
  fixture.playing(track, [track, ...TRACKS]);
  fixture.audio.duration = track.duration;
  await settled();
  return fixture;
}

test("a long track that was left inside plays from its start, and offers to resume for 60 s", async () => {
  const fixture = await talk([2_530, 100]);
  assert.equal(fixture.audio.position, 0);
  assert.equal(fixture.machine.offer.text, "Resume at 42:10");
  fixture.pass(RESUME_TIME * 1_000 - 1);
  assert.notEqual(fixture.machine.offer, null);
  fixture.pass(1);
  assert.equal(fixture.machine.offer, null);
});

test("a place to resume is offered for 60 s of playing, however long it is paused", async () => {
  const fixture = await talk([2_530]);
  fixture.machine.pause();
  fixture.pass(600_000);
  assert.equal(fixture.machine.offer.text, "Resume at 42:10");
  fixture.machine.play();
  fixture.pass(RESUME_TIME * 1_000);
  assert.equal(fixture.machine.offer, null);
});

test("the newest stop that is 60 s into the track is offered, not a short look at it", async () => {
  assert.equal((await talk([59, 3, 452, 900])).machine.offer.text, "Resume at 7:32");
  assert.equal((await talk([59, 3])).machine.offer, null);
});

test("an offer to resume outlives a short skip and a jump, and goes when it is closed", async () => {
  const fixture = await talk([2_530]);
  fixture.machine.skip(15);
  assert.equal(fixture.machine.offer.text, "Resume at 42:10");
  fixture.machine.seek(1_000);
  assert.match(fixture.machine.offer.text, /^Back to/);
  fixture.pass(OFFER_TIME);
  assert.equal(fixture.machine.offer.text, "Resume at 42:10");
  fixture.machine.offer.close();
  assert.equal(fixture.machine.offer, null);
});

test("a place of the queue that was left inside is offered, too", async () => {
  const fixture = await talk([2_530]);
  fixture.machine.next();
  assert.equal(fixture.machine.offer, null);
  await fixture.machine.playFromQueue(0);
  await settled();
  assert.equal(fixture.machine.offer.text, "Resume at 42:10");
});

test("an offer that is taken seeks there, and is gone", async () => {
  const fixture = await talk([2_530]);
  fixture.machine.offer.act();
  assert.equal(fixture.audio.position, 2_530);
  assert.equal(fixture.machine.offer, null);
});

test("nothing is offered of a short track, or where it was left at one of its ends", async () => {
  assert.equal((await talk([300], { ...TALK, duration: 599 })).machine.offer, null);
  assert.equal((await talk([20])).machine.offer, null);
  assert.equal((await talk([3_580])).machine.offer, null);
  assert.equal((await talk([])).machine.offer, null);
});

test("another track withdraws the offer", async () => {
  const fixture = await talk([2_530]);
  fixture.machine.next();
  assert.equal(fixture.machine.offer, null);
});

test("a jump of more than 30 s can be undone for 10 s, and a shorter one cannot", async () => {
  const fixture = await talk([]);
  fixture.machine.seek(754);
  fixture.machine.seek(2_000);
  assert.equal(fixture.machine.offer.text, "Back to 12:34");
  fixture.machine.offer.act();
  assert.equal(fixture.audio.position, 754);
  assert.equal(fixture.machine.offer, null);
  fixture.machine.skip(30);
  assert.equal(fixture.machine.offer, null);
});
