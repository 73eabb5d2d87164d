// @ts-check
/**
 * The page: signing in and out, and the wiring of its parts.
 *
 * Here: the token, the two views, the state of the line, what a person is told. Not here: the
 * socket (connection.js), the playback (playback.js), the panel (nowplaying.js), the list
 * (tracklist.js), the devices (devices.js).
 */

import { Catalogue, RequestFailed, socketAddress } from "./catalogue.js";
import { Connection } from "./connection.js";
import { DeviceList } from "./devices.js";
import { NowPlaying } from "./nowplaying.js";
import { find, quote } from "./page.js";
import { Playback } from "./playback.js";
import { TrackList } from "./tracklist.js";

const TOKEN_KEY = "audiostream.token";
/** One screen with large targets, asked for with ?kiosk=1. */
const IS_KIOSK = new URLSearchParams(location.search).get("kiosk") === "1";
const DEVICE_KEY = "audiostream.device";
/** Attempts in a row that fail before a person is told: most interruptions are short. */
const CALM_LOSSES = 2;
/** Milliseconds that a notice is shown, and more for each of its letters. */
const READING = 6_000;
const READING_LETTER = 60;

/** @typedef {import("./connection.js").Status} Status */
/** @typedef {import("./connection.js").Data} Data */

const EXPIRING = "Your sign-in ends within a minute. Open a fresh link to go on without a break.";
const LINE = {
  connecting: "Connecting",
  open: "Connected",
  waiting: "Reconnecting",
  closed: "Signed out",
};

const audio = find("audio", HTMLAudioElement);
const nowPlaying = new NowPlaying(audio);
const trackList = new TrackList({
  onChosen: (track, shown) => {
    session?.playback.choose(track, shown);
    openLibrary(false);
  },
  onShown: (tracks) => session?.playback.setShown(tracks),
  onLibrary: (tracks) => {
    session?.playback.setLibrary(tracks);
    deviceList.show();
  },
  onRequestFailed: requestFailed,
});
const ownId = deviceId();
const deviceList = new DeviceList(ownId, {
  titleOf: (id) => session?.playback.titleOf(id) ?? "",
  onHere: () => {
    audio.muted = false;
    session?.playback.play();
  },
});

/** @type {{ connection: Connection, playback: Playback } | null} */
let session = null;
/** @type {number | undefined} */
let noticeTimer;

find("sign-in-form", HTMLFormElement).addEventListener("submit", submitToken);
find("sign-out").addEventListener("click", () => leave(""));
find("retry").addEventListener("click", () => session?.connection.retryNow());
find("dismiss").addEventListener("click", hideNotice);
find("browse").addEventListener("click", () => openLibrary(true));
find("close-library").addEventListener("click", () => openLibrary(false));
find("player").addEventListener("keydown", ({ key }) => {
  if (key === "Escape") openLibrary(false);
});
addEventListener("hashchange", begin);
document.documentElement.classList.toggle("kiosk", IS_KIOSK);
openLibrary(false);
begin();

/** Sign in with the token of the address or of this tab, or else ask for one. */
function begin() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) history.replaceState(null, "", location.pathname + location.search);
  const token = given ?? sessionStorage.getItem(TOKEN_KEY);
  if (session && !given) return;
  if (token) enter(token);
  else leave("");
}

/** @param {SubmitEvent} event */
async function submitToken(event) {
  event.preventDefault();
  const field = find("token", HTMLInputElement);
  const token = field.value.replace(/^.*#token=/, "").replace(/\s/g, "");
  if (!token) {
    refuse("Paste a token first.");
    return;
  }
  const button = find("sign-in-button", HTMLButtonElement);
  button.disabled = true;
  try {
    await new Catalogue(token).check();
    field.value = "";
    enter(token);
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error;
    refuse(error.status === 401 ? refusal(error.message) : `${error.message} Is it running?`);
  } finally {
    button.disabled = false;
  }
}

/**
 * Show the player, whatever the server will say to this token.
 * @param {string} token
 */
function enter(token) {
  end();
  sessionStorage.setItem(TOKEN_KEY, token);
  const catalogue = new Catalogue(token);
  const connection = new Connection({
    url: socketAddress(),
    token,
    deviceId: ownId,
    deviceName: deviceName(),
    onStatus: showLine,
    onEvent: hear,
    onRefused: (reason) => leave(refusal(reason)),
  });
  const playback = new Playback(audio, connection, catalogue, ownId, {
    onChanged: update,
    onProblem: notify,
    onRecovered: withdraw,
    onRequestFailed: requestFailed,
  });
  session = { connection, playback };
  find("sign-in").hidden = true;
  find("player").hidden = false;
  nowPlaying.show(playback);
  trackList.open(catalogue);
  connection.start();
}

/**
 * Show the sign-in view.
 * @param {string} reason why, empty if a person wanted it
 */
function leave(reason) {
  end();
  sessionStorage.removeItem(TOKEN_KEY);
  find("player").hidden = true;
  find("sign-in").hidden = false;
  document.title = "audiostream";
  refuse(reason);
}

/**
 * On a kiosk's screen the tracks take the place of what is playing; elsewhere both are there.
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

function end() {
  const ending = session;
  session = null;
  ending?.connection.stop();
  ending?.playback.stop();
  nowPlaying.show(null);
  trackList.close();
  showDevices(null);
  hideNotice();
}

function update() {
  if (!session) return;
  nowPlaying.update();
  trackList.mark(session.playback.track?.id ?? null, session.playback.isPlaying);
}

/**
 * @param {string} event
 * @param {Data} data
 * @param {number | string} [id]
 */
function hear(event, data, id) {
  if (event === "authenticated") {
    trackList.refresh();
    session?.connection.tell("getDevices", { watch: true });
    session?.connection.tell("watchLibrary");
  }
  if (event === "libraryUpdated") return trackList.updated(/** @type {any} */ (data));
  if (event === "devices") showDevices(data.devices);
  if (event === "error" && data.event === "getDevices") return showDevices(null);
  if (event === "error" && data.event === "watchLibrary") return; // it tells of no changes
  if (event === "tokenExpiring") notify(EXPIRING);
  session?.playback.hear(event, data, id);
}

/** @param {import("./devices.js").Device[] | null} devices null where the server does not tell */
function showDevices(devices) {
  if (devices) deviceList.show(devices);
  else deviceList.hide();
  nowPlaying.setDevices(devices);
}

/**
 * @param {Status} status
 * @param {number} losses
 */
function showLine(status, losses) {
  const line = find("line");
  line.dataset.status = status;
  const words = /** @type {HTMLElement} */ (line.firstElementChild);
  const said = status === "connecting" && losses ? LINE.waiting : LINE[status];
  if (words.textContent !== said) words.textContent = said;
  if (status === "open" || status === "closed") find("away").hidden = true;
  else if (losses >= CALM_LOSSES) find("away").hidden = false;
  if (status !== "waiting") return;
  session?.playback.lost();
  if (losses >= CALM_LOSSES) trackList.fail();
}

/** @param {RequestFailed} error */
function requestFailed(error) {
  if (error.status === 401) {
    leave(refusal(error.message));
  } else if (error.status === 404) {
    notify("That track is no longer in the library.");
    trackList.refresh();
  } else {
    notify(error.message);
  }
}

/**
 * Say something for a while.
 * @param {string} words
 */
function notify(words) {
  const notice = find("notice");
  notice.hidden = false;
  quote(/** @type {HTMLElement} */ (notice.firstElementChild), words);
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(hideNotice, READING + READING_LETTER * words.length);
}

function hideNotice() {
  clearTimeout(noticeTimer);
  find("notice").hidden = true;
}

/** @param {string} words what a person need not know any more, if it is still shown */
function withdraw(words) {
  if (find("notice").firstElementChild?.textContent === words) hideNotice();
}

/** @param {string} problem why there is no signing in, empty for no problem */
function refuse(problem) {
  const field = find("token", HTMLInputElement);
  find("sign-in-problem").textContent = problem;
  field.setAttribute("aria-invalid", String(problem !== ""));
  field.focus();
}

/** @param {string} reason what the server says */
function refusal(reason) {
  if (/expired/.test(reason)) return "Your sign-in has ended. Paste a fresh token to go on.";
  return `The server refused the sign-in: ${reason || "the token is not valid"}.`;
}

/**
 * This tab's own id: it survives a reload, and is no other tab's. A tab that is duplicated, or
 * opened from another, begins with a copy of the other's storage; so the id is only in there while
 * its page is not shown.
 * @returns {string}
 */
function deviceId() {
  const known = sessionStorage.getItem(DEVICE_KEY);
  // randomUUID is missing where the page came over plain http from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const id = known ?? Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const take = () => sessionStorage.removeItem(DEVICE_KEY);
  const leaveThere = () => sessionStorage.setItem(DEVICE_KEY, id);
  take();
  addEventListener("pagehide", leaveThere);
  addEventListener("pageshow", take);
  document.addEventListener("freeze", leaveThere);
  document.addEventListener("resume", take);
  return id;
}

function deviceName() {
  const { userAgentData, platform } = /** @type {any} */ (navigator);
  return `Web player, ${userAgentData?.platform || platform || "unknown"}`.slice(0, 128);
}
