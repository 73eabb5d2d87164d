"""Audio with HTTP Range (RFC 9110 §14)."""
