"""Load tests: what to send, how it went, whether that is enough.

The tester is two kinds of processes. This package plans, watches and judges, and needs nothing beside the runtime.
`runner` sends: it stands on locust and gevent, whose patches of the standard library must not reach anything else. So
it runs in processes of its own and is never imported from here; plans go to it and counts come back as lines of JSON.
"""
