"""Which stores may hold a tenant's lectures, and which of them shall. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.assets.settings import AssetSettings, StoreSettings


def allowed(settings: AssetSettings, zone: str) -> list[StoreSettings]:
    """The stores of a residency zone: what belongs there goes nowhere else, wherever its people are."""
    return [store for store in settings.stores if store.zone == zone]


def chosen(settings: AssetSettings, zone: str, region: str) -> list[str]:
    """The stores that shall hold a zone's lectures beside the main one of this `region`: of further regions first."""
    held, first, others = {region}, [], []
    for store in allowed(settings, zone):
        if store.name == settings.main:
            continue
        if store.region in held:
            others.append(store.name)
        else:
            held.add(store.region)
            first.append(store.name)
    return [*first, *others][: settings.copies.most]


def nearest(stores: Sequence[StoreSettings], region: str, order: Sequence[str] = ()) -> list[str]:
    """Stores by how near they are to a region: its own first, then by `order` of regions, then as they are declared."""
    places = {name: number for number, name in enumerate((region, *order))}
    return [store.name for store in sorted(stores, key=lambda store: places.get(store.region, len(places)))]
