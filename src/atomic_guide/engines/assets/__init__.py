"""Objects: a store with a local and an S3 form, and addresses that are signed and expire.

Usable alone: `opening.open_store(directory, settings)` keeps objects below a directory or in a bucket, and
`sign.Signer(key, clock)` signs for it; see docs/engines.md.
"""
