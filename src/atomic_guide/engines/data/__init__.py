"""Databases: one port, shards and placement, queries by name, group commit, migrations.

Usable alone: `open_embedded(directory)` gives the directory database and its shards from SQLite files.
"""
