"""Where the installation stands in the world: its regions, which of them a request belongs to, and which are well.

    settings.py    what a region is, and what is refused of it at start
    countries.py   every country with its place; geography.py: the nearest region by great-circle distance
    routing.py     which region answers a request. Pure: a decision with its reason
    health.py      which regions are well, from probes, with hysteresis. Pure

Residency is a tenant's zone. A region names the zones that it may keep; whatever country somebody travels to, and
whichever region is away, a tenant is answered by a region of its own zone or not at all.
"""
