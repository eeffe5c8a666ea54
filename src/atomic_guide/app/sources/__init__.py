"""Engines as scaling sees them, one file for each component: what a process tells of it, and the source over all."""
