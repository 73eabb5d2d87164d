// The usual way, in Node: rooms of socket.io, every event told to the whole room.
// Rooms are user_{userId}; nobody's token is looked at. node socketio_server.js PORT
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const web = http.createServer((request, response) => response.writeHead(404).end());
const io = new Server(web);
const states = new Map();

io.on("connection", (socket) => {
  const user = socket.handshake.auth.userId;
  const room = `user_${user}`;
  socket.join(room);

  function tell(event, { trackId, currentTime }, isPlaying) {
    const state = { trackId, currentTime, isPlaying, updatedAt: Date.now() };
    states.set(user, state);
    io.to(room).emit(event, state);
  }

  socket.on("playTrack", (data) => tell("trackPlaying", data, true));
  socket.on("pauseTrack", (data) => tell("trackPaused", data, false));
  socket.on("updateStreaming", (data) => tell("trackUpdated", data, data.isPlaying));
  socket.on("getCurrentState", () => socket.emit("trackState", states.get(user) ?? {}));
});

web.listen(Number(process.argv[2]), "127.0.0.1");
