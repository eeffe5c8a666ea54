"""Atomic Guide: a course's live room, lecture videos and performance figures, opened by an LMS over LTI 1.3."""
