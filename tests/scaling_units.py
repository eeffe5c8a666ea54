"""The units of what tests of scaling look at, without the sources that declare them, which take seconds to import."""

UNITS = {
    ("web", "errors"): "share",
    ("web", "utilisation"): "share",
    ("web", "throughput"): "requests/s",
    ("queues", "backlog"): "jobs",
    ("queues", "oldest"): "s",
    ("rooms", "fullest_room"): "sockets",
    ("rooms", "fullest_process"): "sockets",
    ("database", "query"): "s",
    ("database", "write"): "s",
}
