"""The tables of the chaos test, which are no part of the product, and whom its e-mail goes to."""

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query

KEYS = [CourseKey.of("tenant", f"chaos-{number}") for number in range(16)]
PEOPLE = [f"person-{number}" for number in range(20)]

MAKE = [
    Query("make_effects", "Effects of jobs; a second one shows.", {None: "CREATE TABLE effects (number INTEGER)"}),
    Query("make_marks", "Batches that are published.", {None: "CREATE TABLE marks (first INTEGER PRIMARY KEY)"}),
]
PUT = Query("put", "An effect.", {None: "INSERT INTO effects (number) VALUES (:number)"})
MARK = Query("mark", "A batch is published.", {None: "INSERT INTO marks (first) VALUES (:first)"})
LAST = Query("last", "Whether a batch is published.", {None: "SELECT first FROM marks WHERE first = :first"})
COUNT = Query("count", "How many effects.", {None: "SELECT count(*) AS found FROM effects"})
EFFECTS = Query("effects", "All effects.", {None: "SELECT number FROM effects"})
LEFT = Query("left", "Jobs that are left.", {None: "SELECT state, count(*) AS jobs FROM jobs GROUP BY state"})
OPENED = Query(
    "opened",
    "Events of a course that were counted.",
    {
        None: "SELECT coalesce(sum(opened), 0) AS opened FROM student_activity"
        " WHERE bucket = :bucket AND tenant = :tenant AND course = :course"
    },
)
