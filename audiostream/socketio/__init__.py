"""Socket.IO clients in the same rooms. Needs the ``socketio`` extra."""
