// @ts-check
/** `Autoplay`: starts an audio element, which some browsers refuse until a user gesture. */

export class Autoplay {
  /** Whether the browser refuses until a user gesture. */
  isBlocked = false;
  #audio;
  #isWanted;
  #onChanged;

  /**
   * @param {HTMLAudioElement} audio
   * @param {() => boolean} isWanted whether the audio shall play at this moment
   * @param {() => void} onChanged `isBlocked` has changed
   */
  constructor(audio, isWanted, onChanged) {
    this.#audio = audio;
    this.#isWanted = isWanted;
    this.#onChanged = onChanged;
  }

  play() {
    if (!this.#audio.paused) return;
    this.#audio.play().then(
      () => this.setBlocked(false),
      (error) => {
        if (error.name === "NotAllowedError" && this.#isWanted()) this.setBlocked(true);
      },
    );
  }

  /** @param {boolean} isBlocked */
  setBlocked(isBlocked) {
    if (isBlocked === this.isBlocked) return;
    this.isBlocked = isBlocked;
    this.#onChanged();
  }
}
