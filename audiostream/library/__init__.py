"""Audio files of the media folder: scan, tags, search, manifest."""
