"""Conditions over what is measured, what they say at each tick, and whom that is told; see docs/alerts.md."""
