"""Rooms: many sockets that all get every message once, in order, whichever process they are connected to.

Usable alone: `registry.Rooms` needs a `History` (numbered frames from a database), a `Conversation` (what
clients may ask for) and a `Bus` (other processes, or none). Sockets are asyncio protocols on any transport that
has spoken the WebSocket handshake.
"""
