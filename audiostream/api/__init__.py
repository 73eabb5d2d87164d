"""The REST routes, pages and artwork."""
