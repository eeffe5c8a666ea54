"""The country of an address, from a file of MaxMind's format (GeoLite2-Country, DB-IP and others have it).

The library `maxminddb` reads it; it is the package's extra `geo`, because only installations without a CDN need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atomic_guide.errors import ConfigurationError

Lookup = Callable[[str], str | None]


def country_lookup(path: str) -> Lookup:
    """The code of the country of an address, None where the file does not know it.

    Raises `ConfigurationError` where the library is missing, or the file is none of that format.
    """
    try:
        import maxminddb  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            "setting regions.geo_file: reading it needs the library maxminddb;"
            " install the package's extra: pip install 'atomic-guide[geo]'"
        ) from error
    try:
        reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise ConfigurationError(
            f"setting regions.geo_file: {path} is no database of MaxMind's format ({error}); download it again"
        ) from error

    def look_up(address: str) -> str | None:
        try:
            found: Any = reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            # No address, such as a proxy's `unknown`; IPv6 in a file of IPv4.
            return None
        return _code(found)

    return look_up


def _code(found: Any) -> str | None:
    """The code in a record: where the address is, else where its network is registered."""
    for name in ("country", "registered_country"):
        part = found.get(name) if isinstance(found, dict) else None
        code = part.get("iso_code") if isinstance(part, dict) else None
        if isinstance(code, str):
            return code
    return None
