// @ts-check
/**
 * When a tab goes on that is not the active device, or cannot play the track: after a delay, and
 * unless the track plays on another device. The active device may be gone; and a browser lacks
 * formats that others have, or its network may be worse.
 */

/** Milliseconds, at the end of a track, before a tab that is not the active device asks. */
export const TAKEOVER_DELAY = 2_200;
/** The same for the active device, where it cannot play its track. */
export const ACTIVE_TAKEOVER_DELAY = 1_200;
/** Milliseconds after which it asks again, while the track plays elsewhere. */
export const TAKEOVER_INTERVAL = 5_000;

export class Takeover {
  #ports;
  #onDue;
  /** @type {() => void} */
  #cancelTimer = () => {};
  /** Whether it waits for the devices: an answer to an earlier question does not count. */
  #isAsking = false;

  /**
   * @param {Pick<import("./ports.js").Ports, "connection" | "schedule">} ports
   * @param {() => void} onDue the devices are known, or there is no connection
   */
  constructor(ports, onDue) {
    this.#ports = ports;
    this.#onDue = onDue;
  }

  /** @param {number} delay milliseconds */
  start(delay) {
    this.#cancelTimer();
    this.#cancelTimer = this.#ports.schedule(() => this.#ask(), delay);
  }

  cancel() {
    this.#cancelTimer();
    this.#isAsking = false;
  }

  #ask() {
    const { connection } = this.#ports;
    if (!connection.isConnected) return this.#onDue();
    this.#isAsking = true;
    connection.send("getDevices", { watch: true }, ({ error }) => {
      if (error || !this.#isAsking) return;
      this.#isAsking = false;
      this.#onDue();
    });
    return this.start(TAKEOVER_INTERVAL);
  }
}
