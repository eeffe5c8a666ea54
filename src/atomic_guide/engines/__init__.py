"""Engines that know nothing of courses; each can be used in another program."""
