"""Socket.IO clients on the real server process, beside native devices."""
