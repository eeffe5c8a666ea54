"""The country of an address, from a file of MaxMind's format; the file is written here, byte by byte."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.errors import ConfigurationError
from atomic_guide.regions.geo import country_lookup

NETWORKS: dict[str, Any] = {
    "192.0.2.0/24": {"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "US"}},
    "198.51.100.0/25": {"registered_country": {"iso_code": "SE"}},
    "198.51.100.128/25": {"continent": {"code": "EU"}},
    "203.0.113.0/24": {"country": "nonsense", "registered_country": {"iso_code": 7}},
}


_KINDS = {"node_count": 6, "build_epoch": 9}
"""The kinds of the metadata's numbers, by their names; the others are of 16 bits (5)."""


def _encoded(value: Any, kind: int = 5) -> bytes:
    """A value of the format's data section: a text, a map, a whole number or a list, each shorter than 29."""
    if isinstance(value, str):
        return bytes([2 << 5 | len(value.encode())]) + value.encode()
    if isinstance(value, dict):
        parts = (_encoded(key) + _encoded(one, _KINDS.get(key, 5)) for key, one in value.items())
        return bytes([7 << 5 | len(value)]) + b"".join(parts)
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(map(_encoded, value))
    data: bytes = value.to_bytes((value.bit_length() + 7) // 8)
    head = [kind << 5 | len(data)] if kind < 8 else [len(data), kind - 7]
    return bytes(head) + data


def _written(path: Path) -> str:
    nodes: list[list[int | None]] = [[None, None]]
    leaves: dict[tuple[int, int], bytes] = {}
    for text, record in NETWORKS.items():
        network = ip_network(text)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        node = 0
        for bit in map(int, bits[:-1]):
            following = nodes[node][bit]
            if following is None:
                nodes.append([None, None])
                following = nodes[node][bit] = len(nodes) - 1
            node = following
        leaves[node, int(bits[-1])] = _encoded(record)
    count, data, tree = len(nodes), b"", b""
    for number, sides in enumerate(nodes):
        for side, following in enumerate(sides):
            value = count if following is None else following
            if (number, side) in leaves:
                value = count + 16 + len(data)
                data += leaves[number, side]
            tree += value.to_bytes(3)
    metadata = {
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1, "database_type": "Test",
        "description": {"en": "a test"}, "ip_version": 4, "languages": ["en"], "node_count": count, "record_size": 24,
    }  # fmt: skip
    path.write_bytes(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata))
    return str(path)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("192.0.2.77", "DE"),
        ("198.51.100.1", "SE"),
        ("198.51.100.200", None),
        ("203.0.113.5", None),
        ("8.8.8.8", None),
        ("2001:db8::1", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_the_country_of_an_address(tmp_path: Path, address: str, country: str | None) -> None:
    assert country_lookup(_written(tmp_path / "geo.mmdb"))(address) == country


def test_a_file_that_is_none_is_refused_with_the_setting(tmp_path: Path) -> None:
    wrong = tmp_path / "geo.mmdb"
    wrong.write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match=r"regions\.geo_file: .* is no database of MaxMind's format"):
        country_lookup(str(wrong))
    with pytest.raises(ConfigurationError, match=r"regions\.geo_file"):
        country_lookup(str(tmp_path / "none.mmdb"))
