// @ts-check
/** The panel of the queue: what plays, what follows, and what can be done with it. */

import { find, setIcon, setQuoted, setText } from "../dom.js";
import { counted } from "../format.js";
import { Panel } from "./panel.js";
import { QueueList } from "./queue-list.js";
import { nextIndex } from "./queue-order.js";

/** Milliseconds in which what was removed can be put back. */
const UNDO_TIME = 10_000;

/** @type {Record<string, { next: "off" | "all" | "one", icon: string, label: string }>} */
const REPEATS = {
  off: { next: "all", icon: "repeat", label: "Repeat: off" },
  all: { next: "one", icon: "repeat", label: "Repeat: all" },
  one: { next: "off", icon: "repeat-one", label: "Repeat: this track" },
};

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {import("../player.js").Player} Player */

export class QueuePanel {
  /** @type {Player | null} */
  #player = null;
  /** @type {Map<string, Track> | null} the library, null while it is not loaded */
  #tracks = null;
  /** @type {unknown[]} what of the player is shown */
  #shown = [];
  /** @type {{ at: number, ids: string[] } | null} what was removed, and from where */
  #removed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #undoTimer;
  #panel;
  #list;
  #shuffle = find("shuffle", HTMLButtonElement);
  #repeat = find("repeat", HTMLButtonElement);
  #clear = find("clear-queue", HTMLButtonElement);
  #undo = find("queue-undo");

  constructor() {
    this.#panel = new Panel("queue-panel", "open-queue", () => this.#opened());
    this.#list = new QueueList({
      onPlay: (index) => this.#play(index),
      onRemove: (index) => this.#remove(index),
      onMove: (from, to) => this.#change((player) => player.moveInQueue(from, to)),
      announce: (text) => this.#announce(text),
    });
    this.#shuffle.addEventListener("click", () => {
      this.#forgetRemoved(); // of two offers to undo the newer one counts
      this.#change((player) => player.shuffle());
    });
    this.#repeat.addEventListener("click", () => this.#nextRepeat());
    this.#clear.addEventListener("click", () => this.#clearRest());
    this.#undo.querySelector("button")?.addEventListener("click", () => this.#restore());
  }

  /** @param {Player | null} player null after signing out */
  attach(player) {
    this.#player = player;
    this.#tracks = null;
    this.#forgetRemoved();
    if (!player) this.#panel.close();
  }

  /** @param {Track[]} tracks the whole library */
  setLibrary(tracks) {
    this.#tracks = new Map(tracks.map((track) => [track.id, track]));
    this.#refresh();
  }

  /** Show the player's queue, which may have changed. */
  update() {
    const player = this.#player;
    if (!player || !this.#panel.isOpen) return;
    const { queue, track } = player;
    const { trackIds = [], index = null, repeat = "off" } = queue ?? {};
    const shown = [queue === null, trackIds, index, repeat, track?.id];
    if (shown.every((value, at) => value === this.#shown[at])) return;
    this.#shown = shown;
    this.#showList(trackIds, index, repeat);
    this.#showTools(trackIds, index, repeat);
    const isOutside = track !== null && index === null;
    find("queue-outside").hidden = !isOutside;
    setQuoted(find("queue-outside"), `Now: “${track?.title}”`);
    find("queue-empty").hidden = trackIds.length > 0;
    setText(find("queue-summary"), this.#summary(trackIds, index));
  }

  #refresh() {
    this.#shown = [];
    this.update();
  }

  #opened() {
    this.#refresh();
    this.#list.scrollToNow();
  }

  /**
   * @param {readonly string[]} trackIds
   * @param {number | null} index
   * @param {string} repeat
   */
  #showList(trackIds, index, repeat) {
    const current = this.#player?.track;
    const entries = trackIds.map((id) => {
      const unknown = id === current?.id ? current : this.#tracks ? null : undefined;
      return { id, track: this.#tracks?.get(id) ?? unknown };
    });
    this.#list.show(entries, { now: index, next: nextIndex({ trackIds, index, repeat }) });
  }

  /**
   * @param {readonly string[]} trackIds
   * @param {number | null} index
   * @param {string} repeat
   */
  #showTools(trackIds, index, repeat) {
    const following = trackIds.length - 1 - (index ?? -1);
    this.#shuffle.disabled = following < 2;
    this.#clear.disabled = following < 1;
    const { icon, label } = REPEATS[repeat];
    setIcon(this.#repeat, icon, label);
    this.#repeat.setAttribute("aria-pressed", String(repeat !== "off"));
    this.#repeat.disabled = !trackIds.length && repeat === "off";
  }

  /**
   * @param {readonly string[]} trackIds
   * @param {number | null} index
   * @returns {string} like "3 of 12 · 41 min to come"
   */
  #summary(trackIds, index) {
    if (!trackIds.length) return "";
    const count = index === null ? "" : `${index + 1} of `;
    const following = trackIds.slice((index ?? -1) + 1);
    const durations = following.map((id) => this.#tracks?.get(id)?.duration ?? 0);
    const minutes = Math.round(durations.reduce((sum, each) => sum + each, 0) / 60);
    const rest = minutes ? ` · ${minutes.toLocaleString("en")} min to come` : "";
    return `${count}${count ? trackIds.length : counted(trackIds.length, "track")}${rest}`;
  }

  /** @param {number} index */
  #play(index) {
    const id = this.#player?.queue?.trackIds[index];
    const isGone = id !== undefined && this.#tracks?.has(id) === false;
    if (isGone) this.#announce("That track is no longer in the library.");
    else this.#player?.playFromQueue(index);
  }

  #nextRepeat() {
    const { next } = REPEATS[this.#player?.queue?.repeat ?? "off"];
    this.#change((player) => player.setRepeat(next));
  }

  /** @param {number} index */
  #remove(index) {
    const id = this.#player?.queue?.trackIds[index];
    if (id === undefined) return;
    this.#change((player) => player.removeFromQueue(index));
    const title = this.#tracks?.get(id)?.title;
    this.#offerUndo(index, [id], title ? `Removed “${title}”` : "Removed a track");
  }

  #clearRest() {
    const { trackIds = [], index = null } = this.#player?.queue ?? {};
    const at = (index ?? -1) + 1;
    const ids = trackIds.slice(at);
    this.#change((player) => player.clearQueue());
    this.#offerUndo(at, ids, `Removed ${counted(ids.length, "track")}`);
    this.#undo.querySelector("button")?.focus(); // the button that had the focus is disabled
  }

  /**
   * @param {number} at an index
   * @param {string[]} ids
   * @param {string} text
   */
  #offerUndo(at, ids, text) {
    this.#forgetRemoved();
    this.#removed = { at, ids };
    this.#undo.hidden = false;
    setQuoted(this.#undo.firstElementChild, text);
    this.#announce(text);
    this.#undoTimer = setTimeout(() => this.#forgetRemoved(), UNDO_TIME);
  }

  /** Put back what was removed, into the queue as it is now. */
  #restore() {
    const removed = this.#removed;
    this.#forgetRemoved();
    if (!removed) return;
    const { at, ids } = removed;
    this.#change((player) => player.putBack(at, ids));
    this.#announce("Put back.");
  }

  #forgetRemoved() {
    clearTimeout(this.#undoTimer);
    this.#removed = null;
    const hadFocus = this.#undo.contains(document.activeElement);
    this.#undo.hidden = true;
    if (!hadFocus) return;
    find("close-queue").focus();
    this.#list.focus();
  }

  /** @param {(player: Player) => void} change which the player shows at once, if it can make it */
  #change(change) {
    if (this.#player) change(this.#player);
    this.#refresh();
  }

  /** @param {string} text */
  #announce(text) {
    find("queue-status").textContent = text;
  }
}
