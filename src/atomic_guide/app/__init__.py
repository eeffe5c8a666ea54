"""Composition: builds a tool, runs it, supervises its processes."""
