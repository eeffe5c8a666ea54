"""Regions while they are used: probes that find out which are well, drains by operators, and the log of both."""
