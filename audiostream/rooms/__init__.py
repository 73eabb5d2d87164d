"""The connected devices of each user, and what is sent to them."""
