import assert from "node:assert/strict";
import test from "node:test";

import { SleepTimer } from "../../audiostream/web/js/sleep-timer.js";

class Fixture {
  now = 0;
  fades = [];
  ends = 0;
  playback = { track: { id: "a" }, position: 0, duration: 60, rate: 1, isPlaying: true };
  timer = new SleepTimer({
    now: () => this.now,
    onFade: (share) => this.fades.push(share),
    onEnd: () => this.ends++,
  });

  look(seconds, playback = {}) {
    this.now = seconds * 1000;
    Object.assign(this.playback, playback);
    this.timer.look(this.playback);
  }
}

test("a timer that is off shows nothing left and ends nothing", () => {
  const fixture = new Fixture();
  fixture.look(100);
  assert.equal(fixture.timer.remaining, null);
  assert.equal(fixture.ends, 0);
});

test("a timer of minutes fades in its last 10 seconds, ends once and restores the volume", () => {
  const fixture = new Fixture();
  fixture.timer.start(5);
  fixture.look(100);
  assert.equal(fixture.timer.remaining, 200);
  assert.equal(fixture.fades.at(-1), 1);
  fixture.look(295);
  assert.equal(fixture.fades.at(-1), 0.5);
  fixture.look(300);
  fixture.look(301);
  assert.equal(fixture.ends, 1);
  assert.equal(fixture.fades.at(-1), 1);
  assert.equal(fixture.timer.isRunning, false);
});

test("a cancelled timer ends nothing and restores the volume", () => {
  const fixture = new Fixture();
  fixture.timer.start(5);
  fixture.look(299);
  fixture.timer.cancel();
  fixture.look(301);
  assert.equal(fixture.ends, 0);
  assert.equal(fixture.fades.at(-1), 1);
});

test("a timer of the track ends just before the track does, at any rate", () => {
  const fixture = new Fixture();
  fixture.timer.start("track");
  fixture.look(1, { position: 20, rate: 2 });
  assert.equal(fixture.timer.remaining, 20);
  fixture.look(20, { position: 59 });
  assert.equal(fixture.ends, 0);
  fixture.look(20.2, { position: 59.5 });
  assert.equal(fixture.ends, 1);
});

test("a timer of the track ends where the next one has begun meanwhile", () => {
  const fixture = new Fixture();
  fixture.timer.start("track");
  fixture.look(1, { position: 57 });
  fixture.look(5, { track: { id: "b" }, position: 0 });
  assert.equal(fixture.ends, 1);
});

test("a timer of the track goes on in a track that the user has chosen", () => {
  const fixture = new Fixture();
  fixture.timer.start("track");
  fixture.look(1, { position: 20 });
  fixture.look(2, { track: { id: "b" }, position: 0 });
  assert.equal(fixture.ends, 0);
  fixture.look(62, { position: 59.8 });
  assert.equal(fixture.ends, 1);
});

test("a paused track at its end does not end the timer", () => {
  const fixture = new Fixture();
  fixture.timer.start("track");
  fixture.look(1, { position: 59.9, isPlaying: false });
  assert.equal(fixture.ends, 0);
});

test("a track without a duration has no time left that is known", () => {
  const fixture = new Fixture();
  fixture.timer.start("track");
  fixture.look(1, { duration: undefined });
  assert.equal(fixture.timer.remaining, null);
  assert.equal(fixture.timer.isRunning, true);
});
