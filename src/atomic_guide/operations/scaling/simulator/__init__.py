"""Policies replayed on demand for operators who ask over HTTP: in a process of its own, bounded, with progress."""
