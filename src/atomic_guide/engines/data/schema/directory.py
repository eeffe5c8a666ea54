"""The schema of the directory: the one database that every process reads. Times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

directory_metadata = MetaData()

# --- placement -----------------------------------------------------------------------

Table(
    "bucket_map",
    directory_metadata,
    Column("zone", Text, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("shard", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
)

Table(
    "bucket_overrides",
    directory_metadata,
    Column("tenant", Text, primary_key=True),
    Column("course", Text, primary_key=True),
    Column("shard", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    # The course's, so that a bucket's move passes over the courses that are not with it.
    Column("bucket", Integer, nullable=False, server_default="-1"),
)

Table(
    "map_changes",
    directory_metadata,
    # One row, counted up with every change of map, shards or zones, so that processes notice it with one cheap read.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

Table(
    "shards",
    directory_metadata,
    Column("name", Text, primary_key=True),
    Column("zone", Text, nullable=False),
    # joining (its buckets are not yet its own), active, draining (its buckets are to leave) or drained
    Column("state", Text, nullable=False),
    # The share of its zone's load that it is to carry, beside the other shards' weights.
    Column("weight", Double, nullable=False),
    Column("added_at", Double, nullable=False),
)

Table(
    "tenant_zones",
    directory_metadata,
    # Tenants whose data must stay in a zone other than the default one.
    Column("tenant", Text, primary_key=True),
    Column("zone", Text, nullable=False),
)

Table(
    "moves",
    directory_metadata,
    # A bucket, or one course of it (tenant and course are set), that goes from one shard to another.
    Column("id", Text, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("course", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    # The epoch that the target will own it at.
    Column("epoch", BigInteger, nullable=False),
    # planned, copying, fencing, flipped, cleaning, done, aborting or aborted
    Column("state", Text, nullable=False),
    # The mover's lease and its fence: grows with every mover that takes the move over.
    Column("owner", Text, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    # How long writes of the bucket had to wait.
    Column("pause_ms", Double, nullable=False),
    Column("error", Text),
    # Who does not want it begun; NULL where nobody does.
    Column("held_by", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("moves_state", "state", "created_at"),
    # A bucket and its courses move one after the other.
    Index(
        "moves_one",
        "zone",
        "bucket",
        unique=True,
        sqlite_where=text("state NOT IN ('done', 'aborted')"),
        postgresql_where=text("state NOT IN ('done', 'aborted')"),
    ),
)

Table(
    "standbys",
    directory_metadata,
    # Replicas that the server itself started beside a primary on its own machine.
    Column("name", Text, primary_key=True),
    Column("shard", Text, nullable=False),
    Column("port", Integer, nullable=False),
    # copying, serving or leaving
    Column("state", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
)

Table(
    "schema_floor",
    directory_metadata,
    # One row: the oldest revision whose programs may use this database; a contracting revision raises it.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Text, nullable=False),
)

# --- regions (owner: operations/regions) ------------------------------------------------

Table(
    "region_drains",
    directory_metadata,
    # Regions to which no visits are sent, because an operator said so.
    Column("region", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

Table(
    "region_log",
    directory_metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("region", Text, nullable=False),
    # away, back, drained or undrained
    Column("what", Text, nullable=False),
    # The region whose processes saw it; empty where an operator did it.
    Column("seen_from", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Index("region_log_at", "at"),
)

# --- queues (owner: engines/queues) -----------------------------------------------------

Table(
    "queue_controls",
    directory_metadata,
    Column("queue", Text, primary_key=True),
    # Since when no job of it is started; NULL while it runs.
    Column("paused_at", Double),
    # When that ends by itself; NULL where somebody has to end it.
    Column("resumes_at", Double),
    # The token bucket of a queue with a rate: jobs that may start, and when that was so.
    Column("tokens", Double),
    Column("filled_at", Double, nullable=False),
)

# --- sessions and one-time codes --------------------------------------------------------

Table(
    "one_time_codes",
    directory_metadata,
    # Only a digest is kept: who reads the database cannot use a code.
    Column("kind", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("payload", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    # A retry with the same Idempotency-Key within the code's life is answered again.
    Column("used_by", Text),
    Index("one_time_codes_expiry", "expires_at"),
)

Table(
    "secrets",
    directory_metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

Table(
    "operator_answers",
    directory_metadata,
    # The answer to an operator's POST that carried an Idempotency-Key; while it is under way, its mark.
    Column("call", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("operator_answers_expiry", "expires_at"),
)

# --- operators (owner: operations/operators) --------------------------------------------

Table(
    "operator_people",
    directory_metadata,
    # Who may operate this installation by a name of their own. The id is made from the issuer and subject, or for
    # somebody listed who has not signed in yet, from the address, so that nobody is there twice.
    Column("id", Text, primary_key=True),
    # Both empty until somebody listed by e-mail signs in first.
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    # In lower case; empty where the provider tells none.
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    # operator or read-only
    Column("role", Text, nullable=False),
    # Why that role: listed, claim or domain
    Column("source", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_at", Double, nullable=False),
    Column("signed_in_at", Double),
    # Somebody removed stays here, or a claim would let them in again.
    Column("removed_at", Double),
    Index("operator_people_subject", "issuer", "subject"),
    Index("operator_people_email", "email"),
)

Table(
    "operator_sessions",
    directory_metadata,
    # Of the cookie only a digest is kept: who reads the database cannot use it.
    Column("digest", Text, primary_key=True),
    # An id of operator_people, or `token`
    Column("operator", Text, nullable=False),
    # token or oidc
    Column("source", Text, nullable=False),
    # Of a session that a token began: what that token and the cookie make together. Another token ends it.
    Column("proof", Text, nullable=False),
    Column("begun_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Index("operator_sessions_operator", "operator"),
    Index("operator_sessions_ends", "ends_at"),
)

Table(
    "operator_logins",
    directory_metadata,
    # Sign-ins at the provider that are under way, each for one browser and good once.
    Column("state", Text, primary_key=True),
    Column("binding", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("operator_logins_expiry", "expires_at"),
)

Table(
    "operator_audit",
    directory_metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("operator", Text, nullable=False),
    # As they were called at the time.
    Column("who", Text, nullable=False),
    Column("role", Text, nullable=False),
    # token, oidc or command
    Column("source", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("action", Text, nullable=False),
    # JSON: the ids of what it was done to, by what they are called.
    Column("objects", Text, nullable=False),
    Column("why", Text, nullable=False),
    # Of the answer; 0 until there is one: it is under way, or its process died.
    Column("status", Integer, nullable=False),
    Index("operator_audit_at", "at"),
)

Table(
    "operator_approvals",
    directory_metadata,
    # Who has agreed to what needs more than one person, such as `event ev-12`.
    Column("subject", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("who", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("operator_approvals_at", "at"),
)

# --- LTI (owner: course/lti) ------------------------------------------------------------

Table(
    "lti_platforms",
    directory_metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("auth_url", Text, nullable=False),
    Column("token_url", Text, nullable=False),
    Column("keyset_url", Text, nullable=False),
    # The audience of client assertions where it is not the token URL.
    Column("auth_audience", Text),
    # More origins whose pages may frame the tool, separated by spaces.
    Column("origins", Text, nullable=False, server_default=""),
    Column("active", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("issuer", "client_id"),
)

Table(
    "lti_deployments",
    directory_metadata,
    Column("tenant", Text, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("platform", "deployment_id"),
)

Table(
    "lti_changes",
    directory_metadata,
    # One row, counted up with every change of a registration, so that processes notice it with one cheap read.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

Table(
    "lti_logins",
    directory_metadata,
    # Counts up: the newest rows are kept when there are too many.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # Only digests of what must not be guessed are kept.
    Column("state", Text, nullable=False, unique=True),
    Column("nonce", Text, nullable=False),
    Column("binding", Text, nullable=False),
    Column("platform", Text, nullable=False),
    # The parameters of the login request as JSON, to begin it again in another window.
    Column("request", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Index("lti_logins_nonce", "nonce"),
    Index("lti_logins_expiry", "expires_at"),
)

Table(
    "lti_invitations",
    directory_metadata,
    Column("digest", Text, primary_key=True),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
)

# --- keeping (owner: course/keeping) -----------------------------------------------------

Table(
    "erasures",
    directory_metadata,
    Column("id", Text, primary_key=True),
    # person or tenant
    Column("kind", Text, nullable=False),
    # Digests with the installation's key; `person` is empty where a whole tenant was erased.
    Column("tenant", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("videos", Boolean, nullable=False),
    # pending or done
    Column("state", Text, nullable=False),
    # Whom to erase, as JSON, to go on after a crash; empty as soon as it is done.
    Column("target", Text, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("finished_at", Double),
    # JSON, sealed; empty while pending.
    Column("receipt", Text, nullable=False),
    Index("erasures_changed", "changed_at"),
)

Table(
    "legal_holds",
    directory_metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    # Both empty for the whole tenant; one of them otherwise.
    Column("course", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_at", Double, nullable=False),
    Column("lifted_at", Double),
)

# --- stored media (owner: course/video) --------------------------------------------------

Table(
    "media_space",
    directory_metadata,
    # What a tenant stores; a row is locked by whoever changes it, so that two uploads cannot share the last bytes.
    Column("tenant", Text, primary_key=True),
    Column("used", BigInteger, nullable=False),
    # The tenant's own limit in bytes; NULL where the setting decides.
    Column("allowed", BigInteger),
)

Table(
    "media_files",
    directory_metadata,
    # A lecture's files, counted once however many courses show them; `course` is where they lie.
    Column("tenant", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("course", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

Table(
    "media_uses",
    directory_metadata,
    # Which lectures show which files; the last one to go takes them along.
    Column("tenant", Text, primary_key=True),
    Column("media", Text, primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("course", Text, primary_key=True),
    Column("video", Text, primary_key=True),
    Column("created_at", Double, nullable=False),
)

Table(
    "asset_sets",
    directory_metadata,
    # The files of a lecture as they were listed: `list` is the SHA-256 of the list, `place` the folder's course.
    # `bucket` and `course` say where the jobs about them live.
    Column("tenant", Text, primary_key=True),
    Column("media", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("course", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("objects", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("listed_at", Double, nullable=False),
    # The storage class of its larger files in the main bucket, empty for the usual one, and their bytes in it.
    Column("cool", Text, nullable=False, server_default=""),
    Column("cooled", BigInteger, nullable=False, server_default="0"),
)

Table(
    "asset_replicas",
    directory_metadata,
    # A lecture's files in one store: pending, copying, verified, failed or deleting. `held` is the list that was
    # verified there last, `done` how many objects of the present one are, `wrong` what was found and is not healed.
    # `cool` is the storage class of its larger files there, empty for the usual one.
    Column("tenant", Text, primary_key=True),
    Column("media", Text, primary_key=True),
    Column("store", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("held", Text),
    Column("done", Integer, nullable=False),
    Column("error", Text),
    Column("changed_at", Double, nullable=False),
    Column("verified_at", Double),
    Column("wrong", Text),
    Column("cool", Text, nullable=False, server_default=""),
    Index("asset_replicas_verified", "verified_at"),
    Index("asset_replicas_state", "state", "changed_at"),
)

Table(
    "asset_deletions",
    directory_metadata,
    # What is to be gone from every store. `folder` names it until it is; `digest` stands for it in the receipt.
    Column("id", Text, primary_key=True),
    Column("folder", Text),
    Column("digest", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("finished_at", Double),
    # JSON, sealed with the installation's key.
    Column("receipt", Text),
    Index("asset_deletions_asked", "asked_at"),
)

Table(
    "asset_answers",
    directory_metadata,
    # What each store has said to a deletion: `answered_at` is NULL until it said that nothing is left.
    Column("deletion", Text, primary_key=True),
    Column("store", Text, primary_key=True),
    Column("objects", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("error", Text),
    Column("answered_at", Double),
)

# --- scaling (owner: operations/scaling) -------------------------------------------------

Table(
    "scaling_reports",
    directory_metadata,
    # The last report of each process about itself: what only it can know. JSON.
    Column("process", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("report", Text, nullable=False),
)

Table(
    "scaling_series",
    directory_metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("component", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("part", Text, nullable=False),
    UniqueConstraint("component", "metric", "part"),
)

Table(
    "scaling_samples",
    directory_metadata,
    # Seconds that a row stands for: 15, then 60, 900 and 3600 as it ages.
    Column("resolution", Integer, primary_key=True, autoincrement=False),
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, primary_key=True, autoincrement=False),
    # Of the measurements in it; what was not measured has no row.
    Column("count", Integer, nullable=False),
    Column("sum", Double, nullable=False),
    Column("least", Double, nullable=False),
    Column("most", Double, nullable=False),
    # Counts of durations by bucket, JSON; NULL for series of plain values.
    Column("histogram", Text),
    Index("scaling_samples_at", "resolution", "at"),
)

Table(
    "scaling_leases",
    directory_metadata,
    # Who may act. The token grows with every new owner, and what is written with an older one is refused.
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    # Counts up with each renewal: others know by their own clock for how long it has stood still.
    Column("beat", BigInteger, nullable=False),
    # By the database's clock, for people; nobody decides by it.
    Column("until", Double, nullable=False),
)

Table(
    "scaling_memory",
    directory_metadata,
    # What the leader knows, for the next one and for commands: JSON under a name.
    Column("name", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("value", Text, nullable=False),
)

Table(
    "scaling_events",
    directory_metadata,
    # The decision's id: an action is done once under it.
    Column("id", Text, primary_key=True),
    Column("fleet", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("at", Double, nullable=False),
    # shadowed, awaiting, acting, done, failed, rolled_back, refused or expired
    Column("state", Text, nullable=False),
    # approved (while it waits); asking, watching or returning (while it is carried out); else empty
    Column("step", Text, nullable=False),
    Column("mode", Text, nullable=False),
    # Of the leader that wrote it last.
    Column("token", BigInteger, nullable=False),
    # What was counted before the act and what is asked for, to finish it or to go back.
    Column("before", Integer, nullable=False),
    Column("after", Integer, nullable=False),
    # JSON, as `scale explain` shows it.
    Column("decision", Text, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("error", Text, nullable=False),
    # JSON: the windows before and after and what they say; NULL until the second has passed.
    Column("verdict", Text),
    Index("scaling_events_at", "at"),
    Index("scaling_events_fleet", "fleet", "at"),
    # What is carried out or waits is looked for each second.
    Index("scaling_events_state", "state", "at"),
    # One act on a fleet at a time.
    Index(
        "scaling_events_acting",
        "fleet",
        unique=True,
        sqlite_where=text("state = 'acting'"),
        postgresql_where=text("state = 'acting'"),
    ),
)

Table(
    "scaling_wishes",
    directory_metadata,
    # How many units a fleet outside this server is wanted to have, by the act (an event's id) that asked last.
    Column("fleet", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("units", Integer, nullable=False),
    # What was set when the act began, and whether it was carried out: a new leader goes on from there.
    Column("before", Integer, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("at", Double, nullable=False),
)

Table(
    "scaling_audit",
    directory_metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    # `leader` or an operator
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("fleet", Text, nullable=False),
    # An event's id; empty for what concerns none.
    Column("event", Text, nullable=False),
    # JSON
    Column("details", Text, nullable=False),
    Index("scaling_audit_at", "at"),
)

Table(
    "scaling_controls",
    directory_metadata,
    # What operators have set for a fleet beside the settings; no row, or NULL, where the settings hold.
    Column("fleet", Text, primary_key=True),
    Column("mode", Text),
    Column("paused_until", Double),
    Column("why", Text, nullable=False),
    # The candidate that the nightly choice is pinned to, JSON.
    Column("pinned", Text),
    Column("changed_at", Double, nullable=False),
)

Table(
    "scaling_schedule",
    directory_metadata,
    # Times that operators or calendars know of: so many units at least, or a kind of day for the forecast.
    Column("id", Text, primary_key=True),
    # Empty for all fleets.
    Column("fleet", Text, nullable=False),
    # units, holiday, term, break or exams
    Column("kind", Text, nullable=False),
    Column("begins_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("units", Integer),
    Column("note", Text, nullable=False),
    # Which calendar it came from; empty for a single entry.
    Column("calendar", Text, nullable=False),
    Index("scaling_schedule_ends", "ends_at"),
)

Table(
    "scaling_nights",
    directory_metadata,
    # What a fleet's nightly replay of a day found and chose: JSON, for people and for going on after a start.
    Column("fleet", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("chosen", Text, nullable=False),
    Column("frontier", Text, nullable=False),
    Column("outcome", Text, nullable=False),
)

Table(
    "simulations",
    directory_metadata,
    # The last simulations that operators asked for. `told` is JSON; `result` is what came out, packed.
    Column("id", Text, primary_key=True),
    Column("started_at", Double, nullable=False),
    # When it is over, whatever becomes of its process.
    Column("ends_by", Double, nullable=False),
    # running, done, failed or cancelled
    Column("state", Text, nullable=False),
    Column("told", Text, nullable=False),
    Column("result", Text),
    # Who wants it to end; its process looks each second.
    Column("called_off_by", Text),
)

Table(
    "scaling_forecasts",
    directory_metadata,
    # Forecasts of a series as they were made, to be scored by what came: JSON lists of hours.
    Column("component", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("made_at", Double, primary_key=True, autoincrement=False),
    Column("begins_at", Double, nullable=False),
    Column("p50", Text, nullable=False),
    Column("p95", Text, nullable=False),
    # JSON: how well it did; NULL until there is something to say.
    Column("score", Text),
)

Table(
    "scaling_bounds",
    directory_metadata,
    # Fewest and most units of a fleet beside the settings; NULL, or no row, where the settings hold.
    Column("fleet", Text, primary_key=True),
    Column("least", Integer),
    Column("most", Integer),
    Column("changed_at", Double, nullable=False),
)

Table(
    "costs_days",
    directory_metadata,
    # What a day of UTC cost, with the prices of then: JSON.
    Column("day", Text, primary_key=True),
    Column("closed_at", Double, nullable=False),
    Column("version", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("value", Text, nullable=False),
)

Table(
    "costs_changes",
    directory_metadata,
    # What was changed to save and is in force, by the recommendation that said so; one for a fleet.
    Column("id", Text, primary_key=True),
    Column("fleet", Text, nullable=False, unique=True),
    Column("applied_at", Double, nullable=False),
    Column("who", Text, nullable=False),
    # JSON: what held before, to put it back as it was; what was set; the recommendation with its evidence.
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("advice", Text, nullable=False),
    # JSON: what it has really saved; NULL until that is measured.
    Column("verdict", Text),
)

Table(
    "costs_audit",
    directory_metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("change", Text, nullable=False),
    # JSON
    Column("details", Text, nullable=False),
    Index("costs_audit_change", "change", "number"),
)

# --- alerts (owner: operations/alerts) ---------------------------------------------------

Table(
    "alerts_active",
    directory_metadata,
    # The alerts that are pending or firing, by their rule and all of their labels (JSON, sorted).
    Column("rule", Text, primary_key=True),
    Column("labels", Text, primary_key=True),
    Column("state", Text, nullable=False),
    # Since when the condition holds; since when it fires; since when it goes on although the condition does not hold.
    Column("active_at", Double, nullable=False),
    Column("fired_at", Double),
    Column("keeping_since", Double),
    Column("value", Double),
)

Table(
    "alerts_standing",
    directory_metadata,
    # When rules were evaluated last, and what was not known then: JSON under a name.
    Column("name", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("value", Text, nullable=False),
)

Table(
    "alerts_groups",
    directory_metadata,
    # What a channel knows of a group of alerts, and the message that it is to be sent; JSON (grouping.py).
    Column("channel", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
)

Table(
    "alerts_silences",
    directory_metadata,
    Column("id", Text, primary_key=True),
    # JSON, a list of matchers as they are written.
    Column("matchers", Text, nullable=False),
    Column("begins_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Index("alerts_silences_ends", "ends_at"),
)

Table(
    "alerts_log",
    directory_metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    # `leader` or an operator
    Column("who", Text, nullable=False),
    # fired, resolved, told, not told, retrying, silenced, unsilenced, tested
    Column("what", Text, nullable=False),
    # Empty for what concerns no single rule.
    Column("rule", Text, nullable=False),
    # JSON
    Column("labels", Text, nullable=False),
    Column("details", Text, nullable=False),
    Index("alerts_log_at", "at"),
)
