"""Several processes that serve the same users by way of a shared store (``AUDIOSTREAM_REDIS``)."""
