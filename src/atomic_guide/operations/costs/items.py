"""What has a price: the vocabulary of price files and of states, in one place. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One thing that is paid for. `monthly` is what accrues with a month that passes; the rest with what is done."""

    unit: str
    what: str
    monthly: bool = True


KINDS = {
    "compute.cores": Kind("core-hour", "Cores of processes that answer, run jobs or carry messages."),
    "compute.memory": Kind("GB-hour", "Their memory."),
    "database.cores": Kind("core-hour", "Cores of database servers; those of compute where there is no such price."),
    "database.memory": Kind("GB-hour", "Their memory."),
    "database.storage": Kind("GB-month", "What the databases and their replicas hold."),
    "storage.hot": Kind("GB-month", "Lectures and other objects."),
    "storage.cool": Kind("GB-month", "Objects in a class that is cheap to keep and dear to read."),
    "storage.archive": Kind("GB-month", "Objects in a class that is cheaper still."),
    "recall.cool": Kind("GB", "What is read from the cool class.", monthly=False),
    "recall.archive": Kind("GB", "What is read from the archive class.", monthly=False),
    "requests.read": Kind("million requests", "Reads of the object store.", monthly=False),
    "requests.write": Kind("million requests", "Writes and lists of the object store.", monthly=False),
    "traffic.out": Kind("GB", "Bytes that are sent to people.", monthly=False),
    "fixed": Kind("month", "What is paid whether it is used or not: a cluster, a load balancer, an address."),
}
"""By the name that a price file uses under `what`."""
