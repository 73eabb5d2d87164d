// @ts-check
/**
 * `io()` with the interface of socket.io-client 4, on the server's native WebSocket: a page written
 * for that package runs unchanged with the import map {"socket.io-client": "/client.js"}.
 *
 *     Socket: emit ──► frame, or buffer        Manager: auth ──► WebSocket ──► "connect"
 *             listeners ◄── frame                        ▲                 │
 *                                                        └──── delay ◄─────┘ lost
 *
 * Engine.IO, namespaces and binary attachments are not there. client.d.ts has the types that
 * callers see; js/client/ has the parts.
 */

import { Manager } from "./js/client/manager.js";
import { Socket } from "./js/client/socket.js";

/**
 * @param {string | Record<string, any>} [url]
 * @param {Record<string, any>} [options]
 */
function io(url, options) {
  return new Manager(url, options).socket();
}

Object.assign(io, { io, connect: io, Manager, Socket });

export { Manager, Socket, io, io as connect };
export default io;
