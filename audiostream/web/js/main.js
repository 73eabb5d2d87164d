// @ts-check
/** Starts the page: signing in and out, and the wiring of its parts. */

import { io } from "../client.js";
import { Api, ROOT } from "./api.js";
import { deviceId } from "./device-id.js";
import { deviceName } from "./device-label.js";
import { find, setText } from "./dom.js";
import { FullView } from "./full-view.js";
import { Menu } from "./menu.js";
import { Notices } from "./notices.js";
import { NowPlaying } from "./now-playing.js";
import { OfferNotice } from "./offer-notice.js";
import { DevicePanel } from "./panels/device-panel.js";
import { shareVolume } from "./panels/own-volume.js";
import { QueuePanel } from "./panels/queue-panel.js";
import { Player } from "./player.js";
import { addShortcuts } from "./shortcuts.js";
import { SignIn, refusal } from "./sign-in.js";
import { SleepControl } from "./sleep-control.js";
import { SpeedControl } from "./speed-control.js";
import { forgetToken, isKept, onForgotten, storeToken, storedToken } from "./token-store.js";
import { TrackList } from "./track-list.js";
import { Volume } from "./volume.js";

/** One screen with large targets, requested with ?kiosk=1. */
const IS_KIOSK = new URLSearchParams(location.search).get("kiosk") === "1";
/** Whether this page sounds though another device is the active one, requested with ?sounds=always. */
const SOUNDS = new URLSearchParams(location.search).get("sounds") === "always" ? "always" : "active";
/**
 * Options of the connection, in milliseconds. It notices a dead network within 8.5 s, and waits 4 s
 * at most to reconnect: other devices do not know what plays on here meanwhile.
 */
const CONNECTION = {
  pingInterval: 2_500,
  pingTimeout: 6_000,
  timeout: 8_000,
  reconnectionDelay: 500,
  reconnectionDelayMax: 4_000,
  session: false, // the player's streams have tickets
};
/** Failures in a row before the user is told: most interruptions are short. */
const QUIET_FAILURES = 2;
/** Milliseconds after which a connection is good, and earlier failures do not count. */
const STABLE_AFTER = 5_000;
const TOKEN_REFUSED = 4401;
const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

/** Milliseconds between two looks of the sleep timer. */
const UPDATE_INTERVAL = 250;
/** Seconds in which what was done can be undone. */
const UNDO_SECONDS = 10;
const ASLEEP = "The sleep timer has paused the playback.";
const EXPIRING = "Your sign-in ends within a minute. Open a fresh link to go on without a break.";
const STATUS_TEXT = {
  connecting: "Connecting",
  open: "Connected",
  waiting: "Reconnecting",
  closed: "Signed out",
};

/** @typedef {import("../client.js").Socket} Socket */
/** @typedef {import("./panels/device-panel.js").Device} Device */

const audio = find("audio", HTMLAudioElement);
const ownId = await deviceId();
/** @type {{ socket: Socket, player: Player, endVolume: () => void } | null} */
let session = null;

const notices = new Notices();
const offerNotice = new OfferNotice();
const volume = new Volume(audio);
const nowPlaying = new NowPlaying(audio);
const fullView = new FullView(() => session?.player ?? null);
const menu = new Menu();
const speedControl = new SpeedControl(() => session?.player ?? null, handleApiError);
const sleepControl = new SleepControl({
  current: () => session?.player ?? null,
  onFade: (share) => volume.fade(share),
  onEnded: () => notices.show(ASLEEP, { label: "Play on", act: () => session?.player.play() }),
});
const signIn = new SignIn(startSession);
const trackList = new TrackList({
  onChosen: (track, shown) => {
    session?.player.choose(track, shown);
    openLibrary(false);
  },
  onPlayNext: (tracks) => session?.player.playNext(tracks),
  onAdd: (tracks) => session?.player.add(tracks),
  onShown: (tracks) => session?.player.setShown(tracks),
  onLibrary: (tracks) => {
    session?.player.setLibrary(tracks);
    queuePanel.setLibrary(tracks);
    devicePanel.update();
  },
  onRequestFailed: handleApiError,
});
const devicePanel = new DevicePanel(ownId, volume);
const queuePanel = new QueuePanel();

addShortcuts(
  () => session?.player ?? null,
  () => volume.toggleMuted(),
);
setInterval(() => sleepControl.update(), UPDATE_INTERVAL);
onForgotten(() => signOut(""));
find("sign-out").addEventListener("click", () => signOut(""));
find("retry").addEventListener("click", () => session?.socket.io.retry());
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
  const token = given ?? storedToken();
  if (session && !given) return;
  if (token) startSession(token, isKept());
  else signOut("");
}

/**
 * Show the player; whether the server accepts the token is seen later.
 * @param {string} token
 * @param {boolean} isToBeKept whether it outlives this tab
 */
function startSession(token, isToBeKept) {
  endSession();
  storeToken(token, isToBeKept);
  const api = new Api(token);
  const auth = { token, deviceId: ownId, deviceName: deviceName() };
  const socket = io(ROOT.href, { ...CONNECTION, auth, autoConnect: false });
  listen(socket); // before the player, which needs the devices when it resumes
  const hooks = {
    onChanged: update,
    onProblem: (/** @type {string} */ text) => notices.show(text),
    onRecovered: (/** @type {string} */ text) => notices.hide(text),
    onDone: (/** @type {string} */ text, /** @type {(() => void) | undefined} */ undo) =>
      notices.show(text, undo && { label: "Undo", act: undo, seconds: UNDO_SECONDS }),
    onRequestFailed: handleApiError,
  };
  const player = new Player(audio, socket, api, ownId, hooks, SOUNDS);
  session = { socket, player, endVolume: shareVolume(volume, socket) };
  queuePanel.attach(player);
  devicePanel.attach(player, socket);
  signIn.hide();
  menu.show(api);
  nowPlaying.show(player);
  trackList.open(api);
  showStatus("connecting");
  socket.connect();
}

/** @param {Socket} socket */
function listen(socket) {
  let failures = 0;
  let expiresAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let stableTimer;
  const fail = () => {
    clearTimeout(stableTimer);
    failures += 1;
    showStatus("waiting", failures);
  };
  socket.on("connect", () => {
    stableTimer = setTimeout(() => (failures = 0), STABLE_AFTER);
    showStatus("open");
    menu.setFeatures(socket.io.features);
    trackList.setFeatures(socket.io.features);
    trackList.refresh();
    socket.emit("getDevices", { watch: true });
    socket.emit("watchLibrary");
  });
  socket.on("disconnect", (reason, details) => {
    if (details?.context.code === TOKEN_REFUSED) signOut(refusal(details.description));
    else if (reason !== "io client disconnect") fail();
  });
  socket.on("connect_error", ({ message }) => (socket.active ? fail() : signOut(refusal(message))));
  socket.on("libraryUpdated", (library) => trackList.updated(library));
  socket.on("devices", ({ devices }) => showDevices(devices));
  socket.on("error", ({ event }) => event === "getDevices" && showDevices(null));
  socket.on("tokenExpiring", (notice) => {
    const isNew = notice.expiresAt !== expiresAt; // it comes again with every probe
    if (isNew) notices.show(EXPIRING, { label: "Sign in", act: () => signOut("") });
    expiresAt = notice.expiresAt;
  });
}

/** @param {string} problem why, empty if the user wanted it */
function signOut(problem) {
  endSession();
  forgetToken();
  signIn.show(problem);
}

function endSession() {
  const ending = session;
  session = null;
  ending?.socket.off().offAny().disconnect();
  showStatus("closed");
  ending?.player.stop();
  ending?.endVolume();
  queuePanel.attach(null);
  nowPlaying.show(null);
  menu.show(null);
  fullView.close();
  trackList.close();
  showDevices(null);
  notices.hide();
  offerNotice.show(null);
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
  queuePanel.update();
  devicePanel.update();
  offerNotice.show(session.player.offer);
  speedControl.update();
  sleepControl.update();
  trackList.mark(session.player.track?.id ?? null, session.player.isPlaying);
}

/** @param {Device[] | null} devices null where the server sends none */
function showDevices(devices) {
  if (devices) devicePanel.show(devices);
  else devicePanel.hide();
}

/**
 * @param {keyof typeof STATUS_TEXT} status
 * @param {number} [failures] in a row
 */
function showStatus(status, failures = 0) {
  const connection = find("connection");
  connection.dataset.status = status;
  if (connection.firstElementChild) setText(connection.firstElementChild, STATUS_TEXT[status]);
  if (status !== "waiting") find("away").hidden = true;
  if (failures < QUIET_FAILURES) return;
  find("away").hidden = false;
  trackList.showUnreachable();
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
