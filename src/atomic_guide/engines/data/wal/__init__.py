"""The log of SQLite files, from which they are rebuilt as they were at any moment of it.

Litestream (a program of its own) copies what is appended to the WAL of each file into a folder, better on another disk.
It writes down what it has when it is asked to, so that we say when: at each mark the shards are copied first and the
directory last, and how far each of them came is appended to the marks. Hence:

- Everything that was acknowledged before a mark began is in it, and nothing that was begun after it ended.
- All files of a mark belong together: what a row of a shard rests on is in the directory, and no course moved between
  shards while it was made.
- Only marks are moments to go back to. Between two of them lies the interval, or a hole if the log stood still.

Files of the log are written and fsynced, then named; a mark is appended and fsynced after that.

    LOG/TIMELINE/DATABASE/ltx/...        what Litestream writes
    LOG/TIMELINE/marks/2026-11-27T07     the marks of an hour, one JSON object a line
"""
