"""Jobs that outlive the process, in SQLite files: published in a transaction, run under a lease, buried, replayed."""

import asyncio
import sys
import tempfile
from pathlib import Path

import structlog

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.opening import open_databases
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.queues.actions import Act
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.edit import Edit
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Observer, Unmourned
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.errors import Permanent


class Settings(QueueSettings, frozen=True):
    """The queues of this program: one."""

    letters: QueueRules = QueueRules(max_attempts=2, retry_first_seconds=0.1)


class Send(Unmourned):
    """Sends a letter; a run may be repeated, so sending must be safe to repeat."""

    async def run(self, lease: Lease) -> None:
        """Fail for good where there is no address, and end the job in the transaction that notes what was done."""
        if not lease.job.payload["to"]:
            raise Permanent("there is no address")

        async def work(tx: Transaction) -> None:
            """Nothing else is to be written with it."""

        await lease.finish(work)


class Told(Observer):
    """Says how runs end, when one has failed for good, and when so many have ended."""

    def __init__(self, runs: int) -> None:
        self.left = runs
        self.done = asyncio.Event()
        self.died = asyncio.Event()

    def ended(self, job: Job, outcome: str, seconds: float) -> None:  # noqa: ARG002
        """A run has ended."""
        print(f"{job.subject}: {outcome}")
        self.left -= 1
        if outcome == "dead":
            self.died.set()
        if not self.left:
            self.done.set()


async def main(folder: Path) -> None:
    """Send three letters, one of which has no address; mend that one, and send it."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    clock, settings = SystemClock(), Settings()
    shards = await open_databases(folder, DataSettings(shards=1))
    # A tenant and a course: jobs of one order key run one after the other, and tenants get fair shares.
    key = CourseKey.of("office", "letters")
    queues, dead = Queues(shards, clock, settings), DeadLetters(shards)
    told = Told(runs=4)
    worker = Worker(shards, {"letters": {"send": Send()}}, clock=clock, settings=settings, observer=told)
    queues.on_wake(worker.wake)

    async def publish(tx: Transaction) -> None:
        """What the jobs are about would be written here, too: neither is there without the other."""
        for name, to in {"invoice": "ada@example.org", "reminder": "", "thanks": "grace@example.org"}.items():
            await queues.publish(tx, key, NewJob(queue="letters", kind="send", subject=name, payload={"to": to}))

    await shards.of(key).write(publish)
    queues.wake("letters")
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        await told.died.wait()
        (letter,) = (await dead.list()).letters
        print(f"dead letter: {letter.subject}, {letter.reason}")
        await dead.replay(letter.id, Act("the clerk", clock.now()), [Edit("to", "alan@example.org")])
        queues.wake("letters")
        await told.done.wait()
    worker.stop()
    await running
    await shards.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(main(Path(made)))
