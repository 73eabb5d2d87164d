"""JSON events in and out of the commands and states of ``playback``."""
