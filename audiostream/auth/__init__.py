"""Access tokens, stream tickets, session cookies."""
