"""Tags of audio files, which a process of their own reads.

``fields`` is what the library keeps of a file's tags; ``reader`` asks the worker process for
them; ``worker`` is that process, and ``id3`` and ``riff`` parse tags in it.
"""
