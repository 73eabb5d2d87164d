"""Who is connected, and who is sent what."""
