"""What people are told: a feed in the page, written with what it is about, live by the room's socket, and by e-mail."""
