// @ts-check
/**
 * `PlayerMachine`: what the user does. It uses no DOM, audio element or network but its `Ports`;
 * `Playback` below it has what happens by itself.
 */

import { counted } from "../format.js";
import { LONG_TRACK } from "./offers.js";
import { Playback } from "./playback.js";
import * as edits from "./queue.js";

/** Seconds into a track after which "previous" means its beginning, as the server has it. */
const RESTART_AFTER = 3;
/** Milliseconds after which a state that the server has already is here, too. */
const NEWER_STATE_DELAY = 300;

/** @typedef {import("./state.js").Track} Track */
/** @typedef {import("./ports.js").Ports} Ports */
/** @typedef {import("./playback.js").Details} Details */
/** @typedef {import("../../client.js").Repeat} Repeat */

export class PlayerMachine extends Playback {
  #ownId;
  /** The queue as the user has edited it by hand, empty if not. */
  #edited = /** @type {string[]} */ ([]);

  /**
   * @param {string} ownId this tab's
   * @param {Ports} ports
   * @param {"active" | "always"} [sounds] whether this page sounds as the active device alone
   */
  constructor(ownId, ports, sounds = "active") {
    super(ownId, ports, sounds);
    this.#ownId = ownId;
  }

  get canPlay() {
    return this.track !== null || !this._library.isEmpty;
  }

  /** What follows as another track, null where this one is repeated or nothing follows. */
  get upNext() {
    return this.following?.id === this.track?.id ? null : this.following;
  }

  /** What the user is offered for some seconds, null for nothing. */
  get offer() {
    return this._offers.current;
  }

  /** @param {Track[]} tracks what the user sees: "play" begins there where nothing was played */
  setShown(tracks) {
    this._library.setShown(tracks);
  }

  /**
   * @param {string | null} id
   * @returns {Track | undefined} undefined for one that is not in the library
   */
  find(id) {
    return this._library.find(id);
  }

  /**
   * @param {string | null} id
   * @returns {string} empty for a track that is not in the library
   */
  titleOf(id) {
    return this._library.find(id)?.title ?? "";
  }

  /**
   * Play a track, with the list as the queue; pause or play the current one.
   * @param {Track} track
   * @param {Track[]} list where the user has chosen it
   */
  choose(track, list) {
    if (track.id === this.track?.id) this.toggle();
    else this.playList(list, Math.max(0, list.indexOf(track)));
  }

  /**
   * Play a list from one of its places on; it becomes the queue. A queue that the user has edited
   * can be brought back.
   * @param {Track[]} list
   * @param {number} [place]
   */
  playList(list, place = 0) {
    const track = list[place];
    if (!track) return;
    const ids = list.map(({ id }) => id);
    const { trackIds, index } = edits.windowOf(ids, place, this._ports.connection.maxQueue);
    const wayBack = this.#wayBack;
    this.sync.queue.trackIds = trackIds;
    this.#start(track, { setsQueue: true, index });
    if (wayBack) this._ports.onDone("The queue was replaced", wayBack);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    const { trackIds } = this.sync.queue;
    if (this.track) this._act("playTrack", this._isOver ? 0 : this.position);
    else if (trackIds?.length) this.playFromQueue(0);
    else this.playList(this._library.list);
  }

  pause() {
    if (this.track) this._act("pauseTrack", this.position);
  }

  /** @param {number} step seconds, back if negative */
  skip(step) {
    this.seek(this.position + step);
  }

  /** @param {number} position seconds */
  seek(position) {
    if (!this.track) return;
    const before = this.position;
    this.#seek(position);
    this._offers.jumped(before, this.position, (back) => this.#seek(back));
  }

  next() {
    const { _neighbour: next } = this;
    if (next) this._goTo("nextTrack", next);
  }

  previous() {
    if (!this.track) return;
    const queue = this.position <= RESTART_AFTER ? this.queue : null;
    const place = queue && edits.placeBefore(queue);
    const before = this._library.find(queue?.trackIds[place ?? -1]);
    if (before) this._goTo("previousTrack", before, { index: place });
    else this._act("playTrack", 0);
  }

  /** @param {Repeat} repeat */
  setRepeat(repeat) {
    this.sync.queue.setRepeat(repeat);
  }

  /** Shuffle what follows, once. */
  shuffle() {
    const former = this.queue?.trackIds;
    if (!former || !this.sync.queue.shuffle()) return;
    const undo = () => this.sync.queue.edit(edits.restore(former, true));
    this._ports.onDone("Shuffled what follows", undo);
  }

  /** @param {Track[]} tracks to follow the current one */
  playNext(tracks) {
    const ids = tracks.map(({ id }) => id);
    const verb = tracks.length === 1 ? "plays" : "play";
    if (this.#edit(edits.insertNext(ids))) this._ports.onDone(`${named(tracks)} ${verb} next`);
  }

  /** @param {Track[]} tracks to follow all others */
  add(tracks) {
    const isAdded = this.#edit(edits.append(tracks.map(({ id }) => id)));
    if (isAdded) this._ports.onDone(`Added ${named(tracks)} to the queue`);
  }

  /**
   * @param {number} from
   * @param {number} to the place that it has then
   */
  moveInQueue(from, to) {
    this.#edit(edits.move(from, to, this.queue?.trackIds[from] ?? ""));
  }

  /** @param {number} place */
  removeFromQueue(place) {
    this.#edit(edits.remove(place, this.queue?.trackIds[place] ?? ""));
  }

  /** Remove all that follows. */
  clearQueue() {
    this.#edit(edits.clear);
  }

  /**
   * Put tracks back that were removed.
   * @param {number} at an index
   * @param {string[]} ids
   */
  putBack(at, ids) {
    this.#edit(edits.insert(at, ids));
  }

  /** @param {number} place */
  async playFromQueue(place) {
    const id = this.queue?.trackIds[place];
    if (id === undefined) return;
    const track = this._library.find(id) ?? (await this._ports.loadTrack(id));
    if (track && this.queue?.trackIds[place] === id) {
      this.#start(track, { setsQueue: true, index: place });
    }
  }

  /**
   * Make a device the active one.
   * @param {string} deviceId of a device that is connected
   * @param {boolean} [play] whether it plays then; as now if left out
   */
  transfer(deviceId, play) {
    if (deviceId !== this.#ownId || !this.track) {
      return this.sync.request("transferPlayback", { deviceId, play });
    }
    const { position } = this;
    const isPlaying = play ?? this.isPlaying;
    const start = isPlaying && this._isOver ? 0 : position;
    return this._act("transferPlayback", start, { deviceId, isPlaying });
  }

  /**
   * Have the server change the rate, wherever it plays: a report of another rate would make this
   * page the active one, or be ignored while the device settles (R3). Without a connection the rate
   * changes here, and is reported later.
   * @param {number} rate
   */
  async setRate(rate) {
    if (!this.isFollowing && !this._ports.connection.isConnected) return this.#setOwnRate(rate);
    if (await this.#requestRate(rate)) return;
    await new Promise((done) => this._ports.schedule(() => done(true), NEWER_STATE_DELAY));
    await this.#requestRate(rate);
  }

  /**
   * @param {number} rate
   * @returns {Promise<boolean>} false where this page had an outdated state
   */
  async #requestRate(rate) {
    const { track, position, isPlaying, sync } = this;
    if (!track) return true;
    const change = { currentTime: position, isPlaying, playbackRate: rate, ifRev: sync.state.rev };
    return this._ports.updateState(track.id, change);
  }

  /** @param {number} rate */
  #setOwnRate(rate) {
    const state = { currentTime: this.position, isPlaying: this.isPlaying, playbackRate: rate };
    if (!this.track) return;
    this.sync.act({ ...this._state, ...state }, { event: "updateStreaming", isAutomatic: false });
    this._moveAudio(false);
    this._ports.onChanged();
  }

  /**
   * Change the queue as the user wants it.
   * @param {edits.Edit} edit
   */
  #edit(edit) {
    const isSent = this.sync.queue.edit(edit);
    if (isSent) this.#edited = this.queue?.trackIds ?? [];
    return isSent;
  }

  /** How to bring back what plays and follows now, if the user has edited it; else undefined. */
  get #wayBack() {
    const { track, position, queue } = this;
    const isEdited = queue && edits.hasSameTracks(queue.trackIds, this.#edited);
    if (!isEdited || !edits.placesAfter(queue).length) return undefined;
    const { trackIds, index } = queue;
    return () => {
      this.#edited = trackIds;
      if (!track || index === null) return this.sync.queue.edit(edits.restore(trackIds, false));
      this.sync.queue.trackIds = trackIds;
      this.track = track;
      return this._act("playTrack", position, { setsQueue: true, index });
    };
  }

  /**
   * @param {Track} track
   * @param {Details} details
   */
  #start(track, details) {
    this.track = track;
    this._act("playTrack", 0, details);
    if ((track.duration ?? 0) >= LONG_TRACK) this.#offerResume(track);
  }

  /** @param {number} position seconds */
  #seek(position) {
    const within = Math.max(0, Math.min(position, this.duration ?? Infinity));
    this._act(this.isPlaying ? "playTrack" : "pauseTrack", within);
  }

  /** @param {Track} track a long one, which has just been started */
  async #offerResume(track) {
    const positions = await this._ports.loadPositions(track.id);
    if (this.track?.id !== track.id) return;
    this._offers.started(positions, track.duration ?? 0, {
      isPlaying: () => this.isPlaying,
      seek: (position) => this.#seek(position),
    });
  }
}

/**
 * @param {Track[]} tracks
 * @returns {string} like “Harbour Lights” or "7 tracks"
 */
function named(tracks) {
  return tracks.length === 1 ? `“${tracks[0].title}”` : counted(tracks.length, "track");
}
