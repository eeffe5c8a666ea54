"""Backups of a data directory, and putting one back.

What a backup guarantees:
- It is whole or not there: it is made in a folder of another name, its manifest is written last, then it is renamed.
- Each database in it is that database as it was at one moment. The shards are copied first and the directory last,
  so that every tenant, key and erasure that a shard's rows rest on is in it. Where courses moved between shards
  meanwhile, it is begun again.
- Objects are gathered before the databases and once more after them, so that every object which a row names is in
  it. The exception is a video that was both uploaded and deleted while the backup ran.
- It holds the signing keys, which are rows of the directory, and the operators' token.
"""
