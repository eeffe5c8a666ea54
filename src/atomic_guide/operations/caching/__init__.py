"""What operators see of the cache and do to it."""
