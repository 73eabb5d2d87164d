/** Fakes of what the player's state machine is given: audio, connection, time. */

import { PlayerMachine } from "../../audiostream/web/js/player/machine.js";

export const OWN_ID = "this-tab";
export const OTHER_ID = "kitchen";

/** Three tracks of 60 s, `a` to `c`. */
export const TRACKS = ["a", "b", "c"].map((id) => {
  return { id, title: id.toUpperCase(), duration: 60, streamUrl: `/${id}` };
});

/** An audio element that is wherever it was told to be. */
class FakeAudio {
  isReady = true;
  isPlaying = false;
  willPlay = false;
  position = 0;
  duration = 60;
  trackId = null;
  /** What it was told to follow. */
  targets = [];
  /** The id of what was loaded ahead. */
  preloaded = null;

  holds(trackId) {
    return this.trackId === trackId;
  }

  follow(track, target, isRetried) {
    this.trackId = track.id;
    this.isPlaying = this.willPlay = target.isPlaying;
    this.position = target.position;
    this.isReady = true;
    this.duration ??= 60;
    this.targets.push({ trackId: track.id, isRetried, ...target });
  }

  preload(track) {
    this.preloaded = track.id;
  }

  release() {
    this.isReady = this.isPlaying = this.willPlay = false;
    this.trackId = this.preloaded = null;
    this.duration = undefined;
  }
}

/** A connection whose answers the test gives. */
class FakeConnection {
  isConnected = true;
  isResponding = true;
  maxQueue = 1_000;
  sent = [];

  send(event, data, onAnswer) {
    if (this.isConnected) this.sent.push({ event, data, answer: (frame) => onAnswer?.(frame) });
  }

  /** What was sent since the last call, by event. */
  take(...events) {
    const taken = this.sent.filter(({ event }) => !events.length || events.includes(event));
    this.sent = [];
    return taken;
  }
}

/** A machine that is connected, knows the library, and was sent no state yet, and no queue. */
export class Fixture {
  now = 1_000;
  audio = new FakeAudio();
  connection = new FakeConnection();
  problems = [];
  recovered = [];
  /** What the user is told was done, and how to undo it. */
  done = [];
  notFound = [];
  /** What was sent by REST. */
  updates = [];
  /** Which of them are refused as outdated, in order. */
  refusals = [];
  /** Seconds where tracks were left, the newest first. */
  positions = [];
  #timers = new Set();
  #ids = 0;

  constructor({ isLibraryLoaded = true, loadTrack = async () => null, sounds } = {}) {
    const ports = {
      audio: this.audio,
      connection: this.connection,
      now: () => this.now,
      newId: () => `command-${++this.#ids}`,
      schedule: (callback, delay) => this.#schedule(callback, this.now + delay),
      loadTrack,
      loadPositions: async () => this.positions,
      updateState: async (trackId, change) => {
        this.updates.push({ trackId, ...change });
        return !this.refusals.shift();
      },
      onChanged: () => {},
      onProblem: (text) => this.problems.push(text),
      onRecovered: (text) => this.recovered.push(text),
      onDone: (text, undo) => this.done.push({ text, undo }),
      onTrackNotFound: (message) => this.notFound.push(message),
    };
    this.machine = new PlayerMachine(OWN_ID, ports, sounds);
    if (isLibraryLoaded) this.machine.setLibrary(TRACKS);
    this.machine.sync.connected();
  }

  /** Let time pass, in milliseconds; audio that plays goes on. */
  pass(milliseconds) {
    const end = this.now + milliseconds;
    for (let next; (next = this.#next(end)); ) {
      this.#advance(next.at);
      this.#timers.delete(next);
      next.callback();
    }
    this.#advance(end);
  }

  /** Broadcast a state of the server. */
  broadcast(changes = {}, event = "trackUpdated") {
    this.machine.sync.receive(event, stateOf(changes));
  }

  /** Send the queue, by default of all tracks at the first one. */
  queue(changes = {}, event = "queueUpdated") {
    const queue = { trackIds: ["a", "b", "c"], index: 0, repeat: "off", rev: 1, updatedAt: 0 };
    this.machine.sync.receive(event, { ...queue, nextTrack: TRACKS[1], ...changes });
  }

  devices(...others) {
    const devices = [deviceOf({ deviceId: OWN_ID }), ...others.map(deviceOf)];
    this.machine.sync.receive("devices", { devices });
    return { devices };
  }

  /** This tab plays a track as the active device, at rev 1. */
  playing(track = TRACKS[0], list = TRACKS) {
    this.machine.choose(track, list);
    const [command] = this.connection.take("playTrack");
    const index = list.indexOf(track);
    const queue = { index, length: list.length, repeat: "off" };
    command.answer(stateOf({ trackId: track.id, queue, nextTrack: list[index + 1] ?? null }));
    return this;
  }

  /** Another device plays the first of all tracks, at rev 1, and this tab shows it. */
  following() {
    this.queue();
    this.broadcast({ deviceId: OTHER_ID });
    this.devices({ deviceId: OTHER_ID, trackId: "a", isPlaying: true, reportAge: 0.2 });
    this.connection.take();
    return this;
  }

  disconnect() {
    this.connection.isConnected = false;
    this.machine.sync.disconnected();
  }

  /** Connect again, and answer what is sent first with a state. */
  reconnect(changes) {
    this.connection.isConnected = true;
    this.connection.take();
    this.machine.sync.connected();
    const [first] = this.connection.take("updateStreaming", "getCurrentState");
    if (first.event === "updateStreaming") first.answer(stateOf(changes));
    else this.broadcast(changes, "trackState");
    return first;
  }

  #schedule(callback, at) {
    const timer = { callback, at };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  #next(end) {
    const due = [...this.#timers].filter(({ at }) => at <= end);
    return due.sort((one, other) => one.at - other.at)[0];
  }

  #advance(now) {
    if (this.audio.isPlaying) this.audio.position += (now - this.now) / 1000;
    this.now = now;
  }
}

/** A state as the server sends it: by default `a` plays from its start, by this tab, at rev 1. */
export function stateOf(changes = {}) {
  const state = { trackId: "a", currentTime: 0, isPlaying: true, playbackRate: 1, duration: 60 };
  return { ...state, rev: 1, deviceId: OWN_ID, updatedAt: 0, serverTime: 0, ...changes };
}

function deviceOf(changes) {
  const device = { deviceName: null, isActive: false, trackId: null, currentTime: null };
  return { ...device, isPlaying: false, reportAge: null, ...changes };
}
