// @ts-check
/** The panel of the current track: title, cover, timeline and transport buttons. */

import { coverUrl } from "./api.js";
import { find, setIcon, setNames, setText } from "./dom.js";
import { withoutBidiControls } from "./format.js";
import { hueOf } from "./hue.js";
import { MediaControls, SKIP_BACK, SKIP_FORWARD } from "./media-controls.js";
import { SeekBar } from "./seek-bar.js";

/** Milliseconds between two updates of the position. */
const UPDATE_INTERVAL = 250;

/** @typedef {import("./player.js").Player} Player */

export class NowPlaying {
  /** @type {Player | null} */
  #player = null;
  /** @type {string | null | undefined} null for no track, undefined before the first update */
  #shownTrack;
  #mediaControls = new MediaControls(() => this.#player);
  #seekBar;
  #panel = find("now");
  #cover = find("cover", HTMLImageElement);
  #names = find("what");
  #title = find("now-title");
  #wholeTitle = find("whole-title", HTMLButtonElement);
  #toggle = find("toggle", HTMLButtonElement);
  #previous = find("previous", HTMLButtonElement);
  #next = find("next", HTMLButtonElement);
  #back = find("back", HTMLButtonElement);
  #forward = find("forward", HTMLButtonElement);
  #listen = find("listen", HTMLButtonElement);

  /** @param {HTMLAudioElement} audio */
  constructor(audio) {
    this.#seekBar = new SeekBar(audio, () => this.#player);
    this.#toggle.addEventListener("click", () => this.#player?.toggle());
    this.#previous.addEventListener("click", () => this.#player?.previous());
    this.#next.addEventListener("click", () => this.#player?.next());
    this.#back.addEventListener("click", () => this.#player?.skip(-SKIP_BACK));
    this.#forward.addEventListener("click", () => this.#player?.skip(SKIP_FORWARD));
    this.#listen.addEventListener("click", () => this.#player?.unblock());
    this.#cover.addEventListener("load", () => (this.#cover.hidden = false));
    this.#cover.addEventListener("error", () => (this.#cover.hidden = true));
    this.#wholeTitle.addEventListener("click", () => {
      this.#expandTitle(this.#wholeTitle.ariaExpanded !== "true");
    });
    const observer = new ResizeObserver(() => this.#offerWholeTitle());
    observer.observe(this.#title);
    observer.observe(this.#names);
    setInterval(() => this.#seekBar.update(), UPDATE_INTERVAL);
  }

  /** @param {Player | null} player what to show from now on */
  show(player) {
    this.#player = player;
    this.#shownTrack = undefined;
    this.update();
  }

  /** Show the player's state, which may have changed. */
  update() {
    const player = this.#player;
    if (!player) return;
    if ((player.track?.id ?? null) !== this.#shownTrack) this.#showTrack();
    const { isBlocked, following, track } = player;
    const isPlaying = player.isPlaying && !isBlocked;
    setIcon(this.#toggle, isPlaying ? "pause" : "play", isPlaying ? "Pause" : "Play");
    this.#toggle.disabled = !player.canPlay;
    this.#previous.disabled = this.#back.disabled = this.#forward.disabled = !track;
    this.#next.disabled = !following;
    this.#showBlocked(isBlocked);
    setText(find("now-where"), player.isStalled ? "Waiting for the server" : "");
    this.#showNext(player.upNext);
    this.#mediaControls.update(player);
    this.#seekBar.update();
  }

  /** @param {boolean} isBlocked whether the browser waits for a tap */
  #showBlocked(isBlocked) {
    const hadFocus = document.activeElement === this.#listen;
    this.#listen.hidden = !isBlocked;
    this.#panel.classList.toggle("is-blocked", isBlocked);
    if (hadFocus && !isBlocked) this.#toggle.focus();
  }

  /** @param {import("../client.js").Track | null | undefined} track the next one */
  #showNext(track) {
    const element = find("now-next");
    element.hidden = !track;
    if (element.dataset.id === (track?.id ?? "")) return;
    element.dataset.id = track?.id ?? "";
    setNames(element, [track?.title, track?.artist]);
    element.prepend("Next: ");
  }

  #showTrack() {
    const track = this.#player?.track ?? null;
    this.#shownTrack = track?.id ?? null;
    setText(this.#title, track ? track.title : "Nothing playing");
    const { artist, album } = track ?? { artist: "Choose a track to begin", album: undefined };
    setNames(find("now-by"), [artist, album]);
    this.#panel.dataset.empty = String(!track);
    this.#expandTitle(false);
    document.documentElement.style.setProperty("--hue", String(hueOf(track)));
    this.#cover.hidden = true;
    if (track) this.#cover.src = coverUrl(track);
    else this.#cover.removeAttribute("src");
    document.title = track ? `${withoutBidiControls(track.title)} · audiostream` : "audiostream";
    this.#mediaControls.setTrack(track);
  }

  /** @param {boolean} isExpanded whether the title is shown in all its lines */
  #expandTitle(isExpanded) {
    this.#panel.classList.toggle("has-whole-title", isExpanded);
    this.#wholeTitle.ariaExpanded = String(isExpanded);
    setText(this.#wholeTitle, isExpanded ? "Show less of the title" : "Show the whole title");
    this.#offerWholeTitle();
  }

  #offerWholeTitle() {
    const { clientHeight, scrollHeight } = this.#title;
    const isExpanded = this.#wholeTitle.ariaExpanded === "true";
    this.#wholeTitle.hidden = !isExpanded && scrollHeight <= clientHeight + 2;
    // What scrolls has to be reachable by keyboard.
    const isScrolling = this.#names.scrollHeight > this.#names.clientHeight + 1;
    if (isScrolling) this.#names.tabIndex = 0;
    else this.#names.removeAttribute("tabindex");
  }
}
