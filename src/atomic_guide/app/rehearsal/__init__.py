"""A rehearsal of regions on one machine: real engines, real servers, load, a region killed, and what came of it.

plan.py      the regions, zones and tenants of the rehearsal
postgres.py  PostgreSQL servers, one of them a synchronous standby in another region
engines.py   NATS servers joined by a leaf node, the S3 service, the product's servers
door.py      a region's way to what all share here, shut while the region is away
lecture.py   lectures: made, copied, played nearby, healed, deleted
people.py    an LMS that signs launches, and people who write and read by way of a CDN
search.py    every file of every region, looked through for what may not be there
rehearsal.py the phases, and report.py what is told of them
"""
