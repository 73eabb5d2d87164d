"""The native WebSocket endpoint."""
