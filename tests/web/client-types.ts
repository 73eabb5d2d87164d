/** client.d.ts and the classes of client.js have the same public members. */

import type * as declared from "../../audiostream/web/client.js";
import type { Manager } from "../../audiostream/web/js/client/manager.js";
import type { Socket } from "../../audiostream/web/js/client/socket.js";

type Missing<From, In> = Exclude<keyof From, keyof In | `_${string}`>;
type None<Names extends never> = Names;

export type AllDeclared = None<Missing<Socket, declared.Socket> | Missing<Manager, declared.Manager>>;
export type AllThere = None<Missing<declared.Socket, Socket> | Missing<declared.Manager, Manager>>;
