/**
 * client.d.ts and the classes of client.js have the same public members, and its values the members
 * of openapi.json's schemas.
 */

import type * as declared from "../../audiostream/web/client.js";
import type { Manager } from "../../audiostream/web/js/client/manager.js";
import type { Socket } from "../../audiostream/web/js/client/socket.js";
import type openapi from "../../audiostream/web/openapi.json";

type Schemas = (typeof openapi)["components"]["schemas"];
type StateSchema = Schemas["State"]["properties"];
type TrackSchema = Schemas["Track"]["properties"];

type Missing<From, In> = Exclude<keyof From, keyof In | `_${string}`>;
type Different<One, Other> = Missing<One, Other> | Missing<Other, One>;
type None<Names extends never> = Names;

export type Sockets = None<Different<Socket, declared.Socket>>;
export type Managers = None<Different<Manager, declared.Manager>>;
export type States = None<Different<declared.State, StateSchema>>;
export type Tracks = None<Different<declared.Track, TrackSchema>>;
export type Plays = None<Missing<Schemas["Play"]["properties"], declared.PlayTrack>>;
export type Pauses = None<Missing<Schemas["Pause"]["properties"], declared.PauseTrack>>;
export type Updates = None<Missing<Schemas["Update"]["properties"], declared.UpdateStreaming>>;
