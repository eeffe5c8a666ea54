"""The limits of databases."""

from __future__ import annotations

from atomic_guide.limit import Limit

FILE_WRITES = Limit(
    "databases",
    "file_writes",
    "works",
    "databases.sqlite.pending_limit",
    refuses="A write to a file while so many wait for its writer.",
    answer="503 DATA_UNAVAILABLE",
    use="Works that wait for the writer of a file.",
)
FILE_BYTES = Limit(
    "databases",
    "file_bytes",
    "bytes",
    "databases.sqlite.size_limit",
    refuses="What makes the file larger; reading and deleting go on.",
    answer="507 OUT_OF_SPACE",
    use="Bytes of the largest file; not known without a limit.",
)
SERVER_CALLS = Limit(
    "databases",
    "server_calls",
    "statements",
    "databases.postgresql.pending_limit",
    refuses="A read or a write of a server while so many wait for a connection.",
    answer="503 DATA_UNAVAILABLE",
    use="Statements or works that wait, of reads, of point reads or of writes, whichever are most.",
)
READERS = Limit(
    "databases",
    "server_readers",
    "connections",
    "databases.postgresql.readers",
    refuses="A read that no connection has come free for within `databases.postgresql.connect_timeout`.",
    answer="waits, then 503 DATA_UNAVAILABLE",
    use="Connections for reads that are lent out.",
)
WRITERS = Limit(
    "databases",
    "server_writers",
    "connections",
    "databases.postgresql.writers",
    refuses="A write that no connection has come free for within `databases.postgresql.connect_timeout`.",
    answer="waits, then 503 DATA_UNAVAILABLE",
    use="Connections for writes that are lent out.",
)
TAKEN_OVER = Limit(
    "databases",
    "fallback_reads",
    "reads",
    "databases.reads.fallback_reads",
    refuses="A read in place of a replica that has no turn at the primary within"
    " `databases.reads.fallback_wait_seconds`.",
    answer="waits, then 503 DATA_UNAVAILABLE",
    use="Reads that a shard's primary makes in place of its replicas.",
)
BATCH_IDS = Limit(
    "databases",
    "batch_ids",
    "ids",
    "",
    refuses="A read of more rows by their ids at once.",
    answer="400 VALIDATION_ERROR",
    use="Ids of the largest read.",
    about="size",
    fixed=10_000,
)
BATCH_ROWS = Limit(
    "databases",
    "batch_rows",
    "rows",
    "",
    refuses="A call that stores more rows at once; larger ones are imports, which have no such limit.",
    answer="400 VALIDATION_ERROR",
    use="Rows of the largest call.",
    about="size",
    fixed=100_000,
)
LIMITS = (FILE_WRITES, FILE_BYTES, SERVER_CALLS, READERS, WRITERS, TAKEN_OVER, BATCH_IDS, BATCH_ROWS)
