/**
 * The types of client.js: what is there of socket.io-client 4's interface, and the server's
 * commands and events.
 *
 * Positions and durations are in seconds, `updatedAt`, `serverTime` and `expiresAt` in epoch
 * milliseconds.
 */

export interface Track {
  id: string;
  title: string;
  artist?: string;
  album?: string;
  albumArtist?: string;
  disc?: number;
  trackNumber?: number;
  duration?: number;
  /** Epoch milliseconds: when the file was added, or changed since. */
  addedAt?: number;
  ownerId?: string;
  /** A path with a ticket: `<audio>` needs no other credential. */
  streamUrl: string;
}

/** What follows the end: the next track; the same one; after the last track the first. */
export type Repeat = "off" | "one" | "all";

/** The place in the queue. */
export interface QueuePlace {
  /** Of the current track; null where it is not in the queue: then the first one follows. */
  index: number | null;
  length: number;
  repeat: Repeat;
}

/** The user's playback; nothing played yet is `trackId: null`. */
export interface State {
  trackId: string | null;
  currentTime: number;
  isPlaying: boolean;
  duration?: number;
  playbackRate: number;
  /** Grows by one at every accepted change. */
  rev: number;
  /** The `Socket.id` of the active device, the one that last acted; null for none. */
  deviceId: string | null;
  updatedAt: number;
  serverTime: number;
  queue: QueuePlace;
}

/** `track` is missing where nothing was played yet, or the track has left the library. */
export type TrackState = State & { track?: Track; nextTrack: Track | null };
export type TrackPlaying = State & { trackId: string; track?: Track; nextTrack: Track | null };

/** The queue: at most 1,000 tracks, as the server is shipped; a track may be in it several times. */
export interface Queue {
  trackIds: string[];
  /** The place of the current track; null where it is not in the queue: then the first follows. */
  index: number | null;
  repeat: Repeat;
  rev: number;
  updatedAt: number;
  nextTrack: Track | null;
}

/** What a device is asked to do, or has done, about its volume. */
export interface Volume {
  /** 0 to 1 */
  volume?: number;
  muted?: boolean;
}

export interface Refusal {
  code:
    | "invalid_message"
    | "unknown_event"
    | "track_not_found"
    | "conflict"
    | "device_not_found"
    | "rate_limited"
    | "unauthorized"
    | "state_unavailable"
    | "unavailable"
    | "internal";
  message: string;
  event: string | null;
  /** Only with `conflict`. */
  state?: State;
}

interface Change {
  /** Refused with `conflict` if this is not the current rev. */
  ifRev?: number;
}

interface Target extends Change {
  trackId: string;
  currentTime?: number;
  /** Ignored: the identity is the token's. */
  userId?: string;
}

interface Command extends Change {
  /**
   * 1 to 64 characters, set by `emit`: a command that is sent again after a lost connection takes
   * effect once. One that is emitted as `volatile` has none but what it is given here.
   */
  commandId?: string;
}

interface PlayCommand extends Command {
  /** The connected device that is the active one then; the sender if left out, or not connected. */
  deviceId?: string;
}

export interface PlayTrack extends Target, PlayCommand {
  /** Another track than the current one starts at its last stop point. */
  resume?: boolean;
  /** Ids, `trackId` among them; left out, the queue stays if `trackId` is in it, else it is emptied. */
  queue?: string[];
  queueIndex?: number;
}

export interface PauseTrack extends Target, PlayCommand {}

/** Play the next track, or the one before. */
export interface Step extends PlayCommand {}

export interface SetQueue extends Command {
  trackIds: string[];
  /** The current track is looked for from here on, then from the start. */
  queueIndex?: number;
}

export interface SetRepeat extends Command {
  repeat: Repeat;
}

export interface TransferPlayback extends Command {
  deviceId: string;
  /** Whether it plays then; as it is if left out. */
  play?: boolean;
}

export interface UpdateStreaming extends Target {
  currentTime: number;
  isPlaying: boolean;
  playbackRate?: number;
  /** Seconds, measured by the player; it replaces the estimate of the library. */
  duration?: number;
  /** The audio is over; with `isPlaying: false`. */
  ended?: boolean;
  /** 0 to 1 */
  volume?: number;
  muted?: boolean;
}

/** `version` differs for each library that was published. */
export interface LibraryUpdated {
  version: string;
  isScanning: boolean;
}

export interface Devices {
  devices: {
    deviceId: string;
    deviceName: string | null;
    isActive: boolean;
    trackId: string | null;
    /** Seconds; null where `trackId` is. */
    currentTime: number | null;
    isPlaying: boolean;
    /** Seconds since its last report, null if it has not reported since it was sent the state. */
    reportAge: number | null;
    /** 0 to 1; null if it has never reported it. */
    volume: number | null;
    muted: boolean | null;
  }[];
}

/** The outcome of `auth`. */
export interface Authenticated {
  userId: string;
  room: string;
  deviceId: string;
  /** Null where the token has no end. */
  expiresAt: number | null;
  /** Of the server. */
  version: string;
  /** "queue", "transfer", "volume", "history", "qr" */
  features: string[];
  /** Seconds that two players may be apart. */
  syncTolerance: number;
  /** Tracks that a queue may have. */
  maxQueue: number;
}

/** What an acknowledgement gets: the data of the frame that answers; `error` where it refuses. */
export type Answer =
  | State
  | TrackState
  | TrackPlaying
  | Queue
  | Volume
  | Devices
  | LibraryUpdated
  | { error: Refusal };

/** A command's data, `undefined` where it has none. */
export interface Commands {
  playTrack: PlayTrack;
  pauseTrack: PauseTrack;
  nextTrack: Step | undefined;
  previousTrack: Step | undefined;
  setQueue: SetQueue;
  setRepeat: SetRepeat;
  /** Shuffle what follows the current track. */
  shuffleQueue: Command | undefined;
  transferPlayback: TransferPlayback;
  /** `queue` comes. */
  getQueue: undefined;
  /** That device, by default the active one, is sent `volume`. `emit` sets no `commandId`. */
  setVolume: Volume & Command & { deviceId?: string };
  /** Change this device's row. `emit` sets no `commandId`. */
  deviceUpdate: Volume & Command & { deviceName?: string };
  /** Never buffered: one that is emitted while there is no connection is dropped. */
  updateStreaming: UpdateStreaming;
  getCurrentState: undefined;
  /** With `watch`, `devices` comes again whenever one of them changes. */
  getDevices: { watch?: boolean } | undefined;
  /** `libraryUpdated` comes, and comes again whenever the library changes. */
  watchLibrary: undefined;
}

export interface ServerEvents {
  trackPlaying: (state: TrackPlaying) => void;
  trackPaused: (state: State) => void;
  trackUpdated: (state: State) => void;
  trackState: (state: TrackState) => void;
  /** Of the whole room, whenever list or `repeat` change. */
  queueUpdated: (queue: Queue) => void;
  queue: (queue: Queue) => void;
  /** What this device shall set, or with `deviceId` the answer to `setVolume`. */
  volume: (volume: Volume & { deviceId?: string }) => void;
  devices: (answer: Devices) => void;
  libraryUpdated: (library: LibraryUpdated) => void;
  error: (refusal: Refusal) => void;
  /** 60 s before the token's end; what `auth` gives now is sent if it is another token. */
  tokenExpiring: (notice: { expiresAt: number }) => void;
}

export type DisconnectReason =
  | "io client disconnect"
  /** The token has expired or was revoked; unlike socket.io's, this one is followed by a retry. */
  | "io server disconnect"
  | "ping timeout"
  | "transport close";

/** Why the server closed the connection. */
export interface DisconnectDetails {
  description: string;
  /** The CloseEvent, with the close code. */
  context: { readonly code: number; readonly reason: string };
}

export interface SocketEvents extends ServerEvents {
  connect: () => void;
  /** With `data` where the server refused the token; then `active` is false: it does not retry. */
  connect_error: (error: Error & { data?: Refusal }) => void;
  disconnect: (reason: DisconnectReason, details?: DisconnectDetails) => void;
}

export interface ManagerEvents {
  open: () => void;
  close: (reason: DisconnectReason) => void;
  error: (error: Error) => void;
  reconnect: (attempt: number) => void;
  reconnect_attempt: (attempt: number) => void;
  reconnect_error: (error: Error) => void;
  reconnect_failed: () => void;
}

export interface Auth {
  /** With or without "Bearer ". */
  token?: string;
  deviceId?: string;
  deviceName?: string;
}

/** An object, or a function that is called before every connection and when a token expires. */
export type AuthSource = Auth | ((callback: (auth: Auth) => void) => void);

export interface Options {
  auth?: AuthSource;
  /** `token` is taken where `auth` has none. */
  query?: Record<string, string>;
  autoConnect?: boolean;
  reconnection?: boolean;
  reconnectionAttempts?: number;
  /**
   * Milliseconds before the first attempt to reconnect, doubled at each further one until a
   * connection has lasted for 5 s.
   */
  reconnectionDelay?: number;
  reconnectionDelayMax?: number;
  /** 0 to 1: by how much of itself a delay may be shorter. */
  randomizationFactor?: number;
  /** Milliseconds until the server has authenticated the connection. */
  timeout?: number;
  /**
   * Milliseconds without a frame after which the server is asked for a sign of life; 5,000 if left
   * out, and 25,000 while the page is hidden and emits nothing.
   */
  pingInterval?: number;
  /** Milliseconds in which it answers, or the connection is given up; 4,500 if left out. */
  pingTimeout?: number;
  /** `false` sets no stream cookie: not needed by players that use `streamUrl`. */
  session?: boolean;
  /** Milliseconds for acknowledgements that set none of their own. */
  ackTimeout?: number;
  /** socket.io's other options are accepted and mean nothing here. */
  [other: string]: unknown;
}

type Listener = (...args: any[]) => void;
type Events = { [event: string]: any };
/** The commands that need data. */
type RequiredData = {
  [K in keyof Commands]: undefined extends Commands[K] ? never : K;
}[keyof Commands];
type Rest<C> = undefined extends C ? [data?: C] : [data: C];
type Acknowledgement = (answer: Answer) => void;
type AcknowledgementOrError = (error: Error | null, answer: Answer) => void;

declare class Emitter<E extends Events> {
  on<K extends keyof E & string>(event: K, listener: E[K]): this;
  once<K extends keyof E & string>(event: K, listener: E[K]): this;
  off<K extends keyof E & string>(event?: K, listener?: E[K]): this;
  listeners(event: keyof E & string): Listener[];
  hasListeners(event: keyof E & string): boolean;
}

/** `emit` and its acknowledgement, which after `timeout()` gets an error first. */
interface Emitting<Ack, Self> {
  emit<K extends keyof Commands>(event: K, ...args: Rest<Commands[K]>): Self;
  emit<K extends keyof Commands>(event: K, ...args: [...Rest<Commands[K]>, Ack]): Self;
  emit(
    event: Exclude<keyof Commands, RequiredData>,
    acknowledgement: Ack,
  ): Self;
  emitWithAck<K extends keyof Commands>(event: K, ...args: Rest<Commands[K]>): Promise<Answer>;
}

export interface Socket extends Emitting<Acknowledgement, Socket> {}

export declare class Socket extends Emitter<SocketEvents> {
  readonly io: Manager;
  readonly connected: boolean;
  readonly disconnected: boolean;
  readonly active: boolean;
  /** Whether it is connected, and the server has answered all that was asked over 1 s ago. */
  readonly responding: boolean;
  readonly recovered: boolean;
  readonly id: string | undefined;
  /** What the server sent at the last connection; undefined before the first one. */
  readonly authenticated: Authenticated | undefined;
  auth: AuthSource | undefined;
  /** What waits for a connection. */
  readonly sendBuffer: { event: string; data?: unknown; id?: number }[];
  connect(): this;
  open(): this;
  disconnect(): this;
  close(): this;
  /** The next emit is dropped where there is no connection, and is not sent again. */
  readonly volatile: this;
  timeout(milliseconds: number): Emitting<AcknowledgementOrError, Socket>;
  onAny(listener: (event: keyof ServerEvents, data: any) => void): this;
  offAny(listener?: (event: keyof ServerEvents, data: any) => void): this;
  listenersAny(): Listener[];
}

export declare class Manager extends Emitter<ManagerEvents> {
  constructor(url?: string, options?: Options);
  constructor(options?: Options);
  readonly opts: Options;
  /** What the server can do, as it said at the last connection. */
  readonly features: readonly string[];
  open(): this;
  /** Reconnect now, not at the end of the delay; does nothing but then. */
  retry(): this;
  socket(namespace?: "/", options?: Pick<Options, "auth">): Socket;
}

/** @param url where the server is mounted; without it, the root of the page's origin */
export declare function io(url?: string, options?: Options): Socket;
export declare function io(options?: Options): Socket;
export { io as connect };
export default io;
