"""The conversation of a course: check a message, store it, announce it, read it again.

The database is the truth. A message is stored under the next sequence number of its course, then it is
acknowledged and announced; an announcement that gets lost is repaired from the database.
"""
