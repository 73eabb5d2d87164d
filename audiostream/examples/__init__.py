"""Small clients, each run by a test. ``TOKEN`` is an access token, ``SERVER`` the server's URL."""
