"""The native WebSocket: ``gateway`` has the route, ``session`` a device's life, ``close_reasons``
every way in which it ends.
"""
