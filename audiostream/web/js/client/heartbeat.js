// @ts-check
/**
 * Notices a dead connection. A network that is gone closes nothing, and browsers show no pings to
 * a page; so a connection that is silent is probed, and one that does not answer is given up.
 *
 *     received ── pingInterval ──► probe ── pingTimeout ──► onDead
 *        ▲                           │
 *        └──────── any frame ◄───────┘
 */

/** Milliseconds without a frame after which the connection is probed. */
const PING_INTERVAL = 5_000;
/** The same for a page that is hidden and has sent nothing for USE_TIME: 500 bytes each time. */
const IDLE_PING_INTERVAL = 25_000;
const USE_TIME = 10_000;
/** Milliseconds without any answer after which the connection is dead. */
export const PING_TIMEOUT = 4_500;
/** Milliseconds without an answer after which what is sent may arrive much later. */
const DOUBTFUL_AFTER = 1_000;

export class Heartbeat {
  #options;
  #probe;
  #onDead;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {number | undefined} when the oldest unanswered frame was sent, by performance.now */
  #askedAt;
  /** When the page last sent a frame, by performance.now. */
  #usedAt = -Infinity;

  /**
   * @param {{ pingInterval?: number, pingTimeout?: number }} options
   * @param {() => void} probe sends a frame that the server answers
   * @param {() => void} onDead
   */
  constructor(options, probe, onDead) {
    this.#options = options;
    this.#probe = probe;
    this.#onDead = onDead;
  }

  /** Whether what is sent now is likely to arrive now. */
  get isResponding() {
    return performance.now() - (this.#askedAt ?? Infinity) < DOUBTFUL_AFTER;
  }

  /** A frame was received, or the connection is open. */
  received() {
    this.stop();
    const usual = this.#isInUse ? PING_INTERVAL : IDLE_PING_INTERVAL;
    this.#timer = setTimeout(() => this.probe(), this.#options.pingInterval ?? usual);
  }

  /** @param {boolean} isAnswered whether the server answers the frame that was sent */
  sent(isAnswered) {
    const wasIdle = !this.#isInUse;
    this.#usedAt = performance.now();
    if (this.#askedAt !== undefined) return;
    if (isAnswered) this.#expectAnswer();
    else if (wasIdle) this.received();
  }

  probe() {
    this.#expectAnswer();
    this.#probe();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#askedAt = undefined;
  }

  #expectAnswer() {
    clearTimeout(this.#timer);
    this.#askedAt ??= performance.now();
    this.#timer = setTimeout(() => this.#onDead(), this.#options.pingTimeout ?? PING_TIMEOUT);
  }

  get #isInUse() {
    return !globalThis.document?.hidden || performance.now() - this.#usedAt < USE_TIME;
  }
}
