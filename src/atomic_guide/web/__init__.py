"""HTTP and WebSocket: requests become calls of `course`, errors become answers."""
