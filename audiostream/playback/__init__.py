"""The playback of one user and the rules that keep its devices in sync (RULES.md). Pure."""
