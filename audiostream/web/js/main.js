// @ts-check
/** Starts the page: signing in and out, and the wiring of its parts. */

import { Api, socketAddress } from "./api.js";
import { Connection } from "./connection.js";
import { deviceId, deviceName } from "./device-label.js";
import { DeviceList } from "./devices.js";
import { find, setText } from "./dom.js";
import { Notices } from "./notices.js";
import { NowPlaying } from "./now-playing.js";
import { Player } from "./player.js";
import { addShortcuts } from "./shortcuts.js";
import { SignIn, refusal } from "./sign-in.js";
import { TrackList } from "./track-list.js";

const TOKEN_KEY = "audiostream.token";
/** One screen with large targets, requested with ?kiosk=1. */
const IS_KIOSK = new URLSearchParams(location.search).get("kiosk") === "1";
/** Failed attempts in a row before the user is told: most interruptions are short. */
const QUIET_FAILURES = 2;
const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

const EXPIRING = "Your sign-in ends within a minute. Open a fresh link to go on without a break.";
const STATUS_TEXT = {
  connecting: "Connecting",
  open: "Connected",
  waiting: "Reconnecting",
  closed: "Signed out",
};

/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./connection.js").Data} Data */
/** @typedef {import("./devices.js").Device} Device */

const audio = find("audio", HTMLAudioElement);
const ownId = deviceId();
/** @type {{ connection: Connection, player: Player } | null} */
let session = null;

const notices = new Notices();
const nowPlaying = new NowPlaying(audio);
const signIn = new SignIn(startSession);
const trackList = new TrackList({
  onChosen: (track, shown) => {
    session?.player.choose(track, shown);
    openLibrary(false);
  },
  onShown: (tracks) => session?.player.setShown(tracks),
  onLibrary: (tracks) => {
    session?.player.setLibrary(tracks);
    deviceList.show();
  },
  onRequestFailed: handleApiError,
});
const deviceList = new DeviceList(ownId, {
  titleOf: (id) => session?.player.titleOf(id) ?? "",
  onPlayHere: () => {
    audio.muted = false;
    session?.player.play();
  },
});

addShortcuts(() => session?.player ?? null);
find("sign-out").addEventListener("click", () => signOut(""));
find("retry").addEventListener("click", () => session?.connection.retryNow());
find("browse").addEventListener("click", () => openLibrary(true));
find("close-library").addEventListener("click", () => openLibrary(false));
find("player").addEventListener("keydown", ({ key }) => {
  if (key === "Escape") openLibrary(false);
});
addEventListener("hashchange", begin);
document.documentElement.classList.toggle("kiosk", IS_KIOSK);
openLibrary(false);
begin();

/** Sign in with the token of the URL or of this tab's storage, else show the form. */
function begin() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) history.replaceState(null, "", location.pathname + location.search);
  const token = given ?? sessionStorage.getItem(TOKEN_KEY);
  if (session && !given) return;
  if (token) startSession(token);
  else signOut("");
}

/**
 * Show the player; whether the server accepts the token is seen later.
 * @param {string} token
 */
function startSession(token) {
  endSession();
  sessionStorage.setItem(TOKEN_KEY, token);
  const api = new Api(token);
  const connection = new Connection({
    url: socketAddress(),
    token,
    deviceId: ownId,
    deviceName: deviceName(),
    onStatus: showStatus,
    onEvent: receive,
    onRefused: (reason) => signOut(refusal(reason)),
  });
  const player = new Player(audio, connection, api, ownId, {
    onChanged: update,
    onProblem: (text) => notices.show(text),
    onRecovered: (text) => notices.hide(text),
    onRequestFailed: handleApiError,
  });
  session = { connection, player };
  signIn.hide();
  nowPlaying.show(player);
  trackList.open(api);
  connection.start();
}

/** @param {string} problem why, empty if the user wanted it */
function signOut(problem) {
  endSession();
  sessionStorage.removeItem(TOKEN_KEY);
  signIn.show(problem);
}

function endSession() {
  const ending = session;
  session = null;
  ending?.connection.stop();
  ending?.player.stop();
  nowPlaying.show(null);
  trackList.close();
  showDevices(null);
  notices.hide();
}

/**
 * On a kiosk the tracks take the place of what is playing; elsewhere both are there.
 * @param {boolean} isOpen
 */
function openLibrary(isOpen) {
  if (!IS_KIOSK) return;
  const library = find("library");
  const hadFocus = !library.hidden;
  library.hidden = !isOpen;
  find("now").hidden = isOpen;
  if (isOpen) find("close-library").focus();
  else if (hadFocus) find("browse").focus();
}

function update() {
  if (!session) return;
  nowPlaying.update();
  trackList.mark(session.player.track?.id ?? null, session.player.isPlaying);
}

/**
 * @param {string} event
 * @param {Data} data
 * @param {number | string} [id]
 */
function receive(event, data, id) {
  if (event === "authenticated") {
    trackList.refresh();
    session?.connection.tell("getDevices", { watch: true });
    session?.connection.tell("watchLibrary");
  }
  if (event === "libraryUpdated") return trackList.updated(/** @type {any} */ (data));
  if (event === "devices") showDevices(data.devices);
  if (event === "error" && data.event === "getDevices") return showDevices(null);
  if (event === "error" && data.event === "watchLibrary") return; // no updates then
  if (event === "tokenExpiring") notices.show(EXPIRING);
  session?.player.hear(event, data, id);
}

/** @param {Device[] | null} devices null where the server sends none */
function showDevices(devices) {
  if (devices) deviceList.show(devices);
  else deviceList.hide();
  nowPlaying.setDevices(devices);
}

/**
 * @param {Status} status
 * @param {number} losses
 */
function showStatus(status, losses) {
  const line = find("line");
  line.dataset.status = status;
  const text = status === "connecting" && losses ? STATUS_TEXT.waiting : STATUS_TEXT[status];
  if (line.firstElementChild) setText(line.firstElementChild, text);
  if (status === "open" || status === "closed") find("away").hidden = true;
  else if (losses >= QUIET_FAILURES) find("away").hidden = false;
  if (status !== "waiting") return;
  session?.player.lost();
  if (losses >= QUIET_FAILURES) trackList.showUnreachable();
}

/** @param {import("./api.js").ApiError} error */
function handleApiError(error) {
  if (error.status === UNAUTHORIZED) {
    signOut(refusal(error.message));
  } else if (error.status === NOT_FOUND) {
    notices.show("That track is no longer in the library.");
    trackList.refresh();
  } else {
    notices.show(error.message);
  }
}
