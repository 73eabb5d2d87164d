"""The playback rules: pure functions on frozen values."""
