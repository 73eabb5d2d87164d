"""What the server is held against: small servers, each the plainest of its kind."""
