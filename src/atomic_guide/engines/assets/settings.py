"""Where objects are kept: the data directory, and the stores that hold copies."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.errors import ConfigurationError
from atomic_guide.setting import setting

LOCAL = "local"
"""What the data directory's own store is called beside the declared ones."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Bucket = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Address = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#@]+/?$")]
Secret = Annotated[str | None, setting("A key of the store.", "secret")]


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A store that holds copies: a bucket of an S3-compatible service, or a directory that is mounted here.

    `zone` is the residency zone that it stands in; `public` is its address for browsers, where that is another one
    than `endpoint`. Without keys those of the machine's role are used. `cool_class` is what the service calls a cheaper
    storage class that answers at once, such as STANDARD_IA.
    """

    name: Name
    region: str = ""
    zone: Name = "default"
    directory: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    bucket: Bucket | None = None
    endpoint: Address | None = None
    public: Address | None = None
    signing_region: str = "us-east-1"
    cool_class: Annotated[str, msgspec.Meta(pattern=r"^([A-Z][A-Z0-9_]{0,39})?$")] = ""
    access_key: Secret = None
    secret_key: Secret = None

    @property
    def address(self) -> str | None:
        """Where browsers get the bucket's objects; None for a directory."""
        if self.bucket is None:
            return None
        return (self.public or self.endpoint or f"https://s3.{self.signing_region}.amazonaws.com").rstrip("/")


class CopySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How copies are made and looked over."""

    most: Annotated[
        int,
        setting(
            "Copies of each lecture beside the one here, in the order of the stores, other regions first; each"
            " costs its bytes again.",
            "copies",
            ge=0,
            le=16,
        ),
    ] = 2
    at_once: Annotated[
        int,
        setting(
            "Objects of one lecture that are copied at a time; each holds at most 24 MiB while it passes.",
            "objects",
            ge=1,
            le=64,
        ),
    ] = 4
    bytes_per_second: Annotated[
        int,
        setting("What all copies of one process may send and read back in a second; 0 is no limit.", "bytes/s", ge=0),
    ] = 0
    call_seconds: Annotated[
        float,
        setting(
            "How long one call of a store may take; a part has 8 MiB, so this asks for 280 kB/s.", "s", ge=1, le=600
        ),
    ] = 30.0
    call_retries: Annotated[
        int,
        setting(
            "How often a call that failed is sent again at once, before the object counts as failed.",
            "times",
            ge=0,
            le=20,
        ),
    ] = 4
    breaker_failures: Annotated[
        int,
        setting("Failed calls in a row after which a store is left alone for a while.", "calls", ge=1, le=1000),
    ] = 5
    breaker_seconds: Annotated[
        float,
        setting("How long a store is left alone then, before one call tries it again.", "s", ge=0.1, le=3600),
    ] = 15.0
    link_seconds: Annotated[
        float,
        setting(
            "How long the address works at which a browser gets a file of another store; a player asks at once.",
            "s",
            ge=1,
            le=7 * 86400,
        ),
    ] = 900.0
    scrub_bytes_per_second: Annotated[
        int,
        setting(
            "What is read again of all copies, on average, to find what has changed: 2 MB/s are 170 GB a day."
            " 0 reads nothing.",
            "bytes/s",
            ge=0,
        ),
    ] = 2_000_000
    scrub_days: Annotated[
        float,
        setting(
            "How long after a copy was last read it is read again, where the budget allows.", "days", ge=0, le=3650
        ),
    ] = 30.0


class CdnSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell that something is gone, where stores have a CDN in front of them."""

    purge_url: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^https?://[^/?#@\s]+(/[^\s]*)?$")] | None,
        setting("Where it is told which address prefixes are gone, as JSON; none: nobody is told.", "URL"),
    ] = None
    token: Annotated[
        str | None,
        setting("Its bearer token; the call is signed with it, too, as Standard Webhooks asks.", "secret"),
    ] = None
    seconds: Annotated[float, setting("How long its answer may take.", "s", ge=0.1, le=120)] = 10.0


class AssetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where objects are kept."""

    least_free_bytes: Annotated[
        int,
        setting("Free disk below which new uploads are refused, so that the databases can go on.", "bytes", ge=0),
    ] = 1_000_000_000
    main: Annotated[
        str,
        setting(
            "The bucket among `assets.stores` that lectures are kept in, by name; none: `objects/` of the data"
            " directory.",
            "store",
        ),
    ] = ""
    stores: Annotated[
        tuple[StoreSettings, ...],
        setting(
            "The stores that hold copies, and the main bucket: name, region, zone, and directory, or bucket, endpoint,"
            " public, signing_region, cool_class, access_key and secret_key, of each.",
            "stores",
        ),
    ] = ()
    cool_days: Annotated[
        int,
        setting(
            "After so many days in which nobody played it a lecture is kept in the cool_class of the buckets that say"
            " one, copies included; one that is played comes back. 0: all stay in the usual class.",
            "days",
            ge=0,
            le=3650,
        ),
    ] = 0
    copies: CopySettings = CopySettings()
    cdn: CdnSettings = CdnSettings()

    @property
    def main_store(self) -> StoreSettings | None:
        """The bucket that lectures are kept in; None for the data directory."""
        return next((store for store in self.stores if store.name == self.main), None)

    @property
    def cool_class(self) -> str | None:
        """What the main bucket calls its cool class, empty where it says none; None for the data directory."""
        return self.main_store.cool_class if self.main_store is not None else None


def check_assets(settings: AssetSettings) -> None:
    """Raise `ConfigurationError` for stores that cannot be used, naming them."""
    seen = {LOCAL}
    for store in settings.stores:
        if store.name in seen:
            raise ConfigurationError(
                f"setting assets.stores: {store.name} is used twice, or is the data directory's own"
            )
        seen.add(store.name)
        if (store.directory is None) == (store.bucket is None):
            raise ConfigurationError(f"setting assets.stores: {store.name} needs a directory or a bucket, and not both")
        if store.cool_class and store.bucket is None:
            raise ConfigurationError(f"setting assets.stores: {store.name} is a directory, which has no cool_class")
        if (store.access_key is None) != (store.secret_key is None):
            raise ConfigurationError(
                f"setting assets.stores: {store.name} has one of access_key and secret_key; set both"
            )
    _check_main(settings)


def _check_main(settings: AssetSettings) -> None:
    if settings.cool_days and not any(store.cool_class for store in settings.stores):
        raise ConfigurationError(
            "setting assets.cool_days: no store has a cool class; give a bucket of assets.stores a cool_class, or leave"
            " lectures in the usual class"
        )
    if not settings.main:
        return
    if settings.main_store is None:
        known = ", ".join(store.name for store in settings.stores if store.bucket is not None) or "no bucket"
        raise ConfigurationError(
            f"setting assets.main: no store is called {settings.main}; assets.stores declares {known}"
        )
    if settings.main_store.bucket is None:
        raise ConfigurationError(
            f"setting assets.main: {settings.main} is a directory; name a bucket, or leave it out to keep lectures in"
            " the data directory"
        )
