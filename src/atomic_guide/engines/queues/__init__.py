"""Jobs in the database: written in the caller's own transaction, run by workers under a lease.

Usable alone on any `Database` that has the table `jobs`: publish inside a unit of work, run a `Worker` with
handlers, look at the dead letters.
"""
