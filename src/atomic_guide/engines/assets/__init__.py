"""Objects: a store with a local and an S3 form, and addresses that are signed and expire.

Usable alone: `Store(directory, settings)` keeps objects below a directory; `Signer(key, clock)` signs for it.
"""
