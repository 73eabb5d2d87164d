// @ts-check
/** Listeners by event, with the interface of socket.io-client's emitter. */

/** @typedef {(...args: any[]) => void} Listener */

export class Emitter {
  /** @type {Map<string, Listener[]>} */
  #listeners = new Map();

  /**
   * @param {string} event
   * @param {Listener} listener
   */
  on(event, listener) {
    this.#listeners.set(event, [...this.listeners(event), listener]);
    return this;
  }

  /**
   * @param {string} event
   * @param {Listener} listener
   */
  once(event, listener) {
    /** @type {Listener & { of?: Listener }} */
    const once = (...args) => {
      this.off(event, once);
      listener.apply(this, args);
    };
    once.of = listener;
    return this.on(event, once);
  }

  /**
   * Remove one listener, all of an event, or all.
   * @param {string} [event]
   * @param {Listener & { of?: Listener }} [listener]
   */
  off(event, listener) {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.set(event, listener ? without(this.listeners(event), listener) : []);
    return this;
  }

  /** @param {string} event */
  listeners(event) {
    return this.#listeners.get(event) ?? [];
  }

  /** @param {string} event */
  hasListeners(event) {
    return this.listeners(event).length > 0;
  }

  /**
   * @param {string} event
   * @param {any[]} args
   */
  _dispatch(event, ...args) {
    for (const listener of this.listeners(event)) listener.apply(this, args);
  }
}

/**
 * A copy of `list` without the first item that is `item`, or that `once` made of it.
 * @template T
 * @param {(T & { of?: T })[]} list
 * @param {T} item
 */
export function without(list, item) {
  const found = list.findIndex((each) => each === item || each.of === item);
  return list.filter((_, index) => index !== found);
}
