/** client.js without a browser: reconnection, a dead network, and what it sends again. */

import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { io } from "../../audiostream/web/client.js";

/** The server's end of a WebSocket. */
class FakeWebSocket {
  /** @type {FakeWebSocket[]} */
  static all = [];
  sent = [];
  isClosed = false;

  static get last() {
    return FakeWebSocket.all.at(-1);
  }

  constructor(url) {
    this.url = url;
    FakeWebSocket.all.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  receive(event, data, id) {
    this.onmessage({ data: JSON.stringify({ event, data, id }) });
  }

  async authenticate() {
    this.onopen();
    this.receive("authenticated", { deviceId: "this" });
    await settled();
  }
}

const OPTIONS = { auth: { token: "a token" }, session: false, randomizationFactor: 0 };
const settled = () => new Promise(setImmediate);

beforeEach(() => {
  globalThis.WebSocket = FakeWebSocket;
  FakeWebSocket.all = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
});

async function connected(options = {}) {
  const socket = io("http://server/", { ...OPTIONS, ...options });
  await settled();
  await FakeWebSocket.last.authenticate();
  return socket;
}

/** Lose the connection, and assert that it takes so long to reconnect, in milliseconds. */
async function reconnectsAfter(delay) {
  const count = FakeWebSocket.all.length;
  FakeWebSocket.last.onclose({ code: 1006, reason: "" });
  mock.timers.tick(delay - 1);
  await settled();
  assert.equal(FakeWebSocket.all.length, count);
  mock.timers.tick(1);
  await settled();
  assert.equal(FakeWebSocket.all.length, count + 1);
  await FakeWebSocket.last.authenticate();
}

test("the first frame authenticates with the token and the labels", async () => {
  await connected({ auth: { token: "Bearer a token", deviceId: "x", deviceName: "Kiosk" } });
  const [{ event, data }] = FakeWebSocket.last.sent;
  assert.equal(FakeWebSocket.last.url, "ws://server/ws");
  assert.equal(event, "auth");
  assert.deepEqual(data, { token: "a token", deviceId: "x", deviceName: "Kiosk" });
});

test("delays to reconnect are doubled until a connection has lasted for 5 s", async () => {
  const socket = await connected();
  await reconnectsAfter(1_000);
  await reconnectsAfter(2_000);
  mock.timers.tick(4_999);
  await reconnectsAfter(4_000);
  mock.timers.tick(5_000);
  await reconnectsAfter(1_000);
  socket.close();
});

test("a silent connection is probed, and given up without an answer", async () => {
  const socket = await connected({ pingInterval: 2_500, pingTimeout: 6_000 });
  const reasons = [];
  socket.on("disconnect", (reason) => reasons.push(reason));
  const { last } = FakeWebSocket;
  mock.timers.tick(2_500);
  assert.deepEqual(
    last.sent.map(({ event }) => event),
    ["auth", "auth"],
  );
  last.receive("authenticated", { deviceId: "this" });
  mock.timers.tick(2_500);
  mock.timers.tick(5_999);
  assert.deepEqual(reasons, []);
  mock.timers.tick(1);
  assert.deepEqual(reasons, ["ping timeout"]);
  assert.equal(last.isClosed, true);
  socket.close();
});

test("a command that is not answered is sent again with its command id and its rev", async () => {
  const socket = await connected();
  FakeWebSocket.last.receive("trackState", { rev: 3, updatedAt: 5 });
  socket.emit("pauseTrack", { trackId: "a" });
  const sent = FakeWebSocket.last.sent.at(-1);
  assert.equal(sent.data.ifRev, 3);
  await reconnectsAfter(1_000);
  assert.deepEqual(FakeWebSocket.last.sent.at(-1), sent);
  socket.close();
});

test("a volatile command is neither buffered nor sent again, and its answer is lost", async () => {
  const socket = await connected();
  const answers = [];
  socket.volatile.emit("pauseTrack", { trackId: "a" }, (answer) => answers.push(answer));
  const [, { data }] = FakeWebSocket.last.sent;
  assert.deepEqual(data, { trackId: "a" });
  await reconnectsAfter(1_000);
  assert.deepEqual(
    FakeWebSocket.last.sent.map(({ event }) => event),
    ["auth"],
  );
  assert.deepEqual(answers, []);
  socket.close();
});

test("a token that is refused while connected is in the details of disconnect", async () => {
  const socket = await connected();
  const disconnects = [];
  socket.on("disconnect", (reason, { description, context }) =>
    disconnects.push([reason, description, context.code]),
  );
  FakeWebSocket.last.onclose({ code: 4401, reason: "the token has expired" });
  assert.deepEqual(disconnects, [["io server disconnect", "the token has expired", 4401]]);
  socket.close();
});

test("events of a connection that was given up are ignored", async () => {
  const socket = await connected();
  const events = [];
  socket.onAny((event) => events.push(event));
  const [first] = FakeWebSocket.all;
  await reconnectsAfter(1_000);
  first.receive("trackPaused", { rev: 9 });
  first.onclose({ code: 1006, reason: "" });
  assert.deepEqual(events, []);
  assert.equal(socket.connected, true);
  socket.close();
});
