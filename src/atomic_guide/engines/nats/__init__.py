"""NATS: publish/subscribe between the server's processes, and later its key-value store.

Usable alone: `server.NatsServer` keeps a bundled server running, `connection.Connection` keeps a client
connected to it. Nothing here is a source of truth: what is in NATS may vanish at any moment.
"""
