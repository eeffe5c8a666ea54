"""Databases: one port, SQLite and PostgreSQL, shards and placement, queries by name, group commit, migrations.

Usable alone: `opening.open_databases(directory, settings)` gives the directory database and its shards.
"""
