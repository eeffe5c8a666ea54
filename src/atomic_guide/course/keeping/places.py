"""Every place where something about a person is kept, declared once.

Each column of each table is either named here as being about a person, or as being about nobody; a test compares
this with the schema, so that a column which comes later has to be placed before it can be used. Export writes what
is about a person, erasure removes it, and a receipt counts by these places.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Forgetting = Literal["removed", "emptied", "unnamed", "nobody"]
"""What erasure does with a row: removes it; empties it into a tombstone; takes the person's name off it. `nobody`:
there is no person in the table."""


class Place(NamedTuple):
    """A table. `people` are the columns that hold a person's LMS id, `about` those that say more about that person."""

    table: str
    people: tuple[str, ...]
    about: tuple[str, ...]
    plain: tuple[str, ...]
    forgetting: Forgetting


KEY = ("bucket", "tenant", "course")
"""The first columns of every table of a shard; they say whose the row is, and name nobody."""

SHARD: tuple[Place, ...] = (
    Place("bucket_owner", (), (), ("epoch", "state", "token", "changed_at"), "nobody"),
    Place("schema_floor", (), (), ("revision",), "nobody"),
    Place(
        "courses",
        (),
        (),
        (
            *("context", "title", "return_url", "last_seq", "created_at", "room_revision", "room_mark", "closed_at"),
            *("muted", "live_revision", "live_until"),
        ),
        "nobody",
    ),
    Place("course_services", (), (), ("roster_url", "line_items_url", "scopes", "updated_at", "roster_at"), "nobody"),
    Place("gradebooks", (), (), ("version", "updated_at", "people"), "nobody"),
    # A reason for a rejected row shows the value that was refused, which is no id of anybody.
    Place(
        "score_imports",
        (),
        (),
        (
            *("fingerprint", "form", "name", "size", "position", "line", "accepted", "duplicates", "rejected_count"),
            *("rejected", "started_at", "updated_at", "finished_at"),
        ),
        "nobody",
    ),
    Place("retention_marks", (), (), ("checked_at",), "nobody"),
    Place("members", ("user",), ("name", "role", "created_at", "seen_at"), (), "removed"),
    Place("idempotency", ("user",), ("call", "key", "fingerprint", "status", "answer", "expires_at"), (), "removed"),
    # The number stays, so that the course's numbers have no gap; so does the moment, which orders the others.
    Place("messages", ("author",), ("id", "content"), ("seq", "created_at", "deleted_at", "revision"), "emptied"),
    Place("posting_marks", ("user",), ("mark",), (), "removed"),
    Place("mutes", ("user",), ("until", "at"), (), "removed"),
    # That a message was deleted or somebody muted stays known; by whom, or whose, does not.
    Place("moderation", ("moderator", "subject"), (), ("revision", "at", "action", "seq", "until"), "unnamed"),
    Place("scores", ("user",), ("activity", "at", "id", "score", "maximum"), (), "removed"),
    Place("event_streams", (), (), ("taken", "counted", "asked_at", "hurried"), "nobody"),
    Place(
        "events",
        ("user",),
        ("id", "learner", "type", "at", "video", "position", "until", "lang", "received_at"),
        ("number",),
        "removed",
    ),
    Place(
        "lecture_progress",
        ("user",),
        (
            *("video", "position", "position_at", "seconds", "watched", "rewatched", "views", "finished_at"),
            "last_at",
        ),
        (),
        "removed",
    ),
    Place("student_activity", ("user",), ("last_at", "opened"), (), "removed"),
    # Sums over all learners; what somebody who was erased had added to them is not to be told from the rest.
    Place(
        "lecture_figures",
        (),
        (),
        ("video", "views", "viewers", "finished", "captions", "watched", "rewatched", "last_at"),
        "nobody",
    ),
    Place("lecture_curves", (), (), ("video", "block", "viewers", "plays"), "nobody"),
    Place(
        "uploads",
        ("user",),
        ("id", "title", "filename", "length", "received", "created_at", "expires_at", "dropped_at", "parts"),
        (),
        "removed",
    ),
    Place("lecture_rules", (), (), ("captions_required", "updated_at", "copied"), "nobody"),
    # A lecture is the course's teaching material; the person's tie to it goes. `erase person --videos` removes it.
    Place(
        "videos",
        ("uploader",),
        ("filename",),
        (
            *("id", "title", "status", "progress", "reason", "size", "derived", "duration", "steps", "renditions"),
            *("captions", "chapters", "poster", "created_at", "ready_at", "origin", "preview", "remaking"),
        ),
        "unnamed",
    ),
    Place("notifications", ("user",), ("id", "kind", "subject", "data", "created_at", "read_at"), (), "removed"),
    Place("mail_contacts", ("user",), ("address", "locale", "language", "off_at", "updated_at"), (), "removed"),
    # That records were read stays known; by whom, or whose, does not.
    Place("record_reads", ("reader", "subject"), (), ("at", "call", "reads"), "unnamed"),
    # A job names a person in its payload, if at all: such jobs are looked up by their text (`MENTIONS`).
    Place(
        "jobs",
        (),
        ("subject", "payload", "error", "bookmark", "unique_key", "kept_key", "order_key"),
        (
            *("id", "queue", "kind", "state", "priority", "why", "boost", "rank", "tag", "spacing", "attempts"),
            *("max_attempts", "run_after", "lease_until", "lease_owner", "token", "progress", "created_at"),
            *("finished_at", "troubles", "trace"),
        ),
        "removed",
    ),
    # That a dead letter was replayed or dropped, by whom and when, stays known; what it carried may name a person.
    Place(
        "operator_actions",
        (),
        ("before", "after", "kept"),
        ("id", "at", "actor", "action", "subject", "kind", "run", "digest"),
        "emptied",
    ),
    # What the job carried is gone; it may have been about a person.
    Place(
        "ended_jobs",
        ("subject",),
        (),
        ("id", "queue", "kind", "state", "attempts", "created_at", "ended_at"),
        "removed",
    ),
)

DIRECTORY: tuple[Place, ...] = (
    Place("bucket_map", (), (), ("zone", "bucket", "shard", "epoch"), "nobody"),
    Place("bucket_overrides", (), (), ("tenant", "course", "bucket", "shard", "epoch"), "nobody"),
    Place("map_changes", (), (), ("id", "number"), "nobody"),
    Place("shards", (), (), ("name", "zone", "state", "weight", "added_at"), "nobody"),
    Place("tenant_zones", (), (), ("tenant", "zone"), "nobody"),
    Place(
        "moves",
        (),
        (),
        (
            *("id", "zone", "bucket", "tenant", "course", "source", "target", "epoch", "state", "owner"),
            *("lease_until", "token", "rows", "pause_ms", "error", "held_by", "created_at", "updated_at"),
        ),
        "nobody",
    ),
    Place("standbys", (), (), ("name", "shard", "port", "state", "changed_at"), "nobody"),
    Place("region_drains", (), (), ("region", "at", "who", "why"), "nobody"),
    Place("region_log", (), (), ("number", "at", "region", "what", "seen_from", "who", "why"), "nobody"),
    Place("schema_floor", (), (), ("id", "revision"), "nobody"),
    Place("queue_controls", (), (), ("queue", "paused_at", "resumes_at", "tokens", "filled_at"), "nobody"),
    # A code's payload is the session that it begins: tenant, user, name, role.
    Place("one_time_codes", (), ("payload", "used_by"), ("kind", "digest", "expires_at"), "removed"),
    # A login request carries the LMS's hint of who it is, which some LMSs fill with the user's id.
    Place(
        "lti_logins",
        (),
        ("request",),
        ("number", "state", "nonce", "binding", "platform", "expires_at", "used_at"),
        "removed",
    ),
    Place("legal_holds", ("person",), ("reason",), ("id", "tenant", "course", "placed_at", "lifted_at"), "removed"),
    # Digests; `target` names the person only until the erasure is done.
    Place(
        "erasures",
        (),
        (),
        (
            *("id", "kind", "tenant", "person", "videos", "state", "target", "began_at", "changed_at"),
            *("finished_at", "receipt"),
        ),
        "nobody",
    ),
    Place("secrets", (), (), ("name", "value", "created_at"), "nobody"),
    # Operators act on fleets, prices and alerts; what they are answered is about no member of a course.
    Place("operator_answers", (), (), ("call", "key", "fingerprint", "status", "answer", "expires_at"), "nobody"),
    # Who acted is the name of an operator, not of a member of a course.
    Place("scaling_reports", (), (), ("process", "role", "at", "report"), "nobody"),
    Place("scaling_series", (), (), ("id", "component", "metric", "part"), "nobody"),
    Place(
        "scaling_samples",
        (),
        (),
        (*("resolution", "series", "at", "count", "sum", "least", "most", "histogram"),),
        "nobody",
    ),
    Place("scaling_leases", (), (), ("name", "owner", "token", "beat", "until"), "nobody"),
    Place("scaling_memory", (), (), ("name", "at", "value"), "nobody"),
    Place(
        "scaling_events",
        (),
        (),
        (
            *("id", "fleet", "rule", "at", "state", "step", "mode", "token", "before", "after", "decision"),
            *("started_at", "ended_at", "error", "verdict"),
        ),
        "nobody",
    ),
    Place("scaling_wishes", (), (), ("fleet", "key", "units", "before", "done", "at"), "nobody"),
    Place("scaling_audit", (), (), ("number", "at", "who", "what", "fleet", "event", "details"), "nobody"),
    Place("scaling_controls", (), (), ("fleet", "mode", "paused_until", "why", "pinned", "changed_at"), "nobody"),
    Place(
        "scaling_schedule",
        (),
        (),
        (*("id", "fleet", "kind", "begins_at", "ends_at", "units", "note", "calendar"),),
        "nobody",
    ),
    Place(
        "simulations",
        (),
        (),
        ("id", "started_at", "ends_by", "state", "told", "result", "called_off_by"),
        "nobody",
    ),
    Place("scaling_nights", (), (), ("fleet", "day", "at", "chosen", "frontier", "outcome"), "nobody"),
    Place(
        "scaling_forecasts",
        (),
        (),
        (*("component", "metric", "made_at", "begins_at", "p50", "p95", "score"),),
        "nobody",
    ),
    Place("scaling_bounds", (), (), ("fleet", "least", "most", "changed_at"), "nobody"),
    Place("costs_days", (), (), ("day", "closed_at", "version", "currency", "value"), "nobody"),
    Place(
        "costs_changes", (), (), ("id", "fleet", "applied_at", "who", "before", "after", "advice", "verdict"), "nobody"
    ),
    Place("costs_audit", (), (), ("number", "at", "who", "what", "change", "details"), "nobody"),
    Place(
        "alerts_active",
        (),
        (),
        (*("rule", "labels", "state", "active_at", "fired_at", "keeping_since", "value"),),
        "nobody",
    ),
    Place("alerts_standing", (), (), ("name", "at", "value"), "nobody"),
    Place("alerts_groups", (), (), ("channel", "id", "state"), "nobody"),
    Place("alerts_silences", (), (), ("id", "matchers", "begins_at", "ends_at", "who", "comment"), "nobody"),
    Place("alerts_log", (), (), ("number", "at", "who", "what", "rule", "labels", "details"), "nobody"),
    Place(
        "lti_platforms",
        (),
        (),
        (
            *("id", "issuer", "client_id", "name", "auth_url", "token_url", "keyset_url", "auth_audience"),
            *("origins", "active", "created_at"),
        ),
        "nobody",
    ),
    # Who runs the installation are no members of a course; `atomic-guide operators remove` takes them away.
    Place(
        "operator_people",
        (),
        (),
        (
            *("id", "issuer", "subject", "email", "name", "role", "source", "added_by", "added_at"),
            "signed_in_at",
            "removed_at",
        ),
        "nobody",
    ),
    Place(
        "operator_sessions",
        (),
        (),
        ("digest", "operator", "source", "proof", "begun_at", "seen_at", "ends_at"),
        "nobody",
    ),
    Place("operator_logins", (), (), ("state", "binding", "nonce", "verifier", "expires_at"), "nobody"),
    Place(
        "operator_audit",
        (),
        (),
        (*("number", "at", "operator", "who", "role", "source", "method", "action", "objects", "why", "status"),),
        "nobody",
    ),
    Place("operator_approvals", (), (), ("subject", "operator", "who", "at"), "nobody"),
    Place("lti_deployments", (), (), ("tenant", "platform", "deployment_id", "created_at"), "nobody"),
    Place("lti_changes", (), (), ("id", "number"), "nobody"),
    Place("lti_invitations", (), (), ("digest", "expires_at", "used_at"), "nobody"),
    Place("media_space", (), (), ("tenant", "used", "allowed"), "nobody"),
    Place("media_files", (), (), ("tenant", "id", "course", "bytes", "created_at"), "nobody"),
    Place("media_uses", (), (), ("tenant", "media", "bucket", "course", "video", "created_at"), "nobody"),
    Place(
        "asset_sets",
        (),
        (),
        (*("tenant", "media", "place", "bucket", "course", "list", "objects", "bytes", "listed_at"), "cool", "cooled"),
        "nobody",
    ),
    Place(
        "asset_replicas",
        (),
        (),
        (*("tenant", "media", "store", "state", "held", "done", "error", "changed_at", "verified_at", "wrong"), "cool"),
        "nobody",
    ),
    # What is gone is named only until it is gone everywhere; then a digest stands for it.
    Place("asset_deletions", (), (), ("id", "folder", "digest", "asked_at", "finished_at", "receipt"), "nobody"),
    Place("asset_answers", (), (), ("deletion", "store", "objects", "tries", "error", "answered_at"), "nobody"),
)

PEOPLE: tuple[Place, ...] = tuple(place for place in SHARD if place.people)
"""The tables of a shard with a column that holds a person's id."""

MENTIONS = {"jobs": "mentions", "operator_actions": "action_mentions"}
"""The tables whose rows may name a person inside a text, and what the queries that look for it are called."""

TENANT_TABLES: tuple[str, ...] = tuple(
    place.table for place in SHARD if place.table not in {"bucket_owner", "schema_floor"}
)
"""The tables of a shard that hold a tenant's courses; the others are about the shard itself."""

CARRIED: tuple[str, ...] = (
    *("secrets", "lti_platforms", "lti_deployments", "lti_invitations", "lti_changes", "erasures", "legal_holds"),
    *("media_space", "media_files", "media_uses"),
    *("asset_sets", "asset_replicas", "asset_deletions", "asset_answers"),
    "operator_people",
)
"""The tables of the directory that another installation of the same data needs. Placement is each one's own; sessions
and logins end."""

ERASED = "erased"
"""What stands in a log in place of a person who was erased."""
