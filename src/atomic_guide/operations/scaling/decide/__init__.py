"""Deciding: from what is seen, what should be done to which fleet, and why. Pure; acting is another part's work."""
