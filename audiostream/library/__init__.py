"""The audio files of a media folder: scanning, tags, owners, search and pictures.

``library`` has what the server asks, ``scanner`` how the folder is read, ``manifest`` what
``tracks.json`` says, and ``formats`` the one table of audio formats.
"""
