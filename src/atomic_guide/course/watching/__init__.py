"""Watching lectures: events in at least once, figures out exactly once.

`event` says what an event is, `taking` stores them, `counting` is the job that adds them up, `lectures` reads the sums.
"""
