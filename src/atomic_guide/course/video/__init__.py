"""Lecture videos: received, checked, made playable, shown, captioned, removed.

`videos.Videos` is what the web layer talks to; `jobs` is what workers run.
"""
