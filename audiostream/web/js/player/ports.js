// @ts-check
/** The types of what the player's state machine is given: audio, connection, time. */

/** @typedef {import("../../client.js").Track} Track */
/** @typedef {Record<string, any>} Data of a frame */

/**
 * Where the audio shall be: `position` seconds at `at` (milliseconds), moving if playing. One that
 * `waits` begins at `position` however long the loading takes.
 * @typedef {object} Target
 * @property {number} position
 * @property {number} at
 * @property {boolean} isPlaying
 * @property {number} rate
 * @property {boolean} waits
 */

/**
 * @typedef {object} AudioPort what the machine reads of the audio element, and how it moves it
 * @property {boolean} isReady whether the position can be read
 * @property {boolean} isPlaying
 * @property {boolean} willPlay whether it plays, or does so as soon as the server lets it
 * @property {number} position seconds
 * @property {number | undefined} duration seconds
 * @property {(trackId: string | null) => boolean} holds whether this track has a position here that
 *     nothing but playing will move
 * @property {(track: Track, target: Target, isRetried: boolean) => void} follow play, or pause, at
 *     the target; `isRetried` loads a track again that could not be played
 * @property {(track: Track) => void} preload load a track that will follow
 * @property {() => void} release stop, and load nothing any more
 */

/**
 * @typedef {object} Ports
 * @property {AudioPort} audio
 * @property {Connection} connection
 * @property {() => number} now milliseconds of a monotonic clock
 * @property {() => string} newId of a command
 * @property {(callback: () => void, delay: number) => () => void} schedule returns how to cancel
 * @property {(id: string) => Promise<Track | null | undefined>} loadTrack null where there is no
 *     such track, undefined where that is unknown now
 * @property {(id: string) => Promise<number[]>} loadPositions seconds where a track was left, the
 *     newest first
 * @property {(id: string, change: Data) => Promise<boolean>} updateState change the playback, and
 *     leave the active device as it is; false where `ifRev` is outdated
 * @property {() => void} onChanged anything that can be read here may have changed
 * @property {(text: string) => void} onProblem something that the user should know
 * @property {(text: string) => void} onRecovered this problem is over
 * @property {(text: string, undo?: () => void) => void} onDone what the user should know was done,
 *     and how it is undone
 * @property {(message: string) => void} onTrackNotFound
 */

/**
 * @typedef {object} Connection
 * @property {boolean} isConnected
 * @property {boolean} isResponding whether what is sent now arrives now
 * @property {number} maxQueue tracks that the server takes in a queue
 * @property {(event: string, data?: object, onAnswer?: (answer: Data) => void) => void} send what
 *     is dropped, also its answer, where there is no connection
 */
/**
 * @typedef {object} AudioHooks what the audio element does by itself
 * @property {(position: number) => void} onPlaying the audio plays and is at `position`
 * @property {(isPlaying: boolean, position: number) => void} onToggled something else than this
 *     page has started or paused the element
 * @property {(position: number) => void} onEnded the audio is over, which played until `position`
 * @property {() => void} onChanged position, duration or `isBlocked` may have changed
 * @property {(id: string) => Promise<Track | null | undefined>} loadTrack the track with a fresh
 *     ticket, null if there is no such track, undefined where the server cannot be reached
 * @property {(position: number, isMissing: boolean) => void} onUnplayable the server is there, and
 *     nothing more can be played from `position` on; `isMissing`: it has no such audio
 */

export {};
