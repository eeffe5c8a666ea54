"""What is remembered for speed, and may be forgotten at any moment.

Usable alone: `layered.Cache(settings, clock)` holds values by key, and `space` of it declares a kind of them.
"""
