"""What holds for every test: only loopback is reached, and each has a time limit (pyproject.toml)."""

import ipaddress
import sys
from typing import Any

LOOPBACK_NAMES = {"", "localhost"}


def _is_loopback(host: str) -> bool:
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_far_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise where a test would leave this machine; paths of Unix sockets and other families pass."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = arguments[1]
    if isinstance(address, tuple) and isinstance(address[0], str) and not _is_loopback(address[0]):
        message = f"a test may reach loopback only, not {address[0]}"
        raise PermissionError(message)


# An audit hook rather than a patched class: it also sees sockets made before a fixture could run.
sys.addaudithook(_refuse_far_sockets)
