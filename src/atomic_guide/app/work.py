"""What this program runs as jobs: each queue's handlers by kind, and the worker of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.app.region import QUEUES
from atomic_guide.course import enrolment, membership
from atomic_guide.course.notifications import feed, mail
from atomic_guide.course.video import videos
from atomic_guide.course.video.spread import parts as spread
from atomic_guide.course.watching import counting, taking
from atomic_guide.engines.queues.worker import Worker

if TYPE_CHECKING:
    from atomic_guide.engines.queues.handlers import Handler, Observer
    from atomic_guide.engines.queues.settings import QueueSettings
    from atomic_guide.web.tool import Tool


def handlers_of(tool: Tool, settings: QueueSettings) -> dict[str, dict[str, Handler]]:
    """The handlers of every queue that is run in this process's region, by kind."""
    found = {
        videos.QUEUE: tool.media.handlers(settings.video.memory_mb),
        spread.QUEUE: tool.media.copying(),
        taking.QUEUE: counting.handlers(tool.events),
        feed.QUEUE: mail.handlers(tool.notifications.mail),
        enrolment.QUEUE: membership.handlers(tool.shards, tool.lti, tool.clock, mailed=tool.notifications.contacts.on),
    }
    return {queue: own for queue, own in found.items() if tool.regions.does_jobs(QUEUES.get(queue, "web"))}


def made_worker(tool: Tool, settings: QueueSettings, observer: Observer) -> Worker:
    """A worker for all queues, woken by what this process publishes."""
    worker = Worker(tool.shards, handlers_of(tool, settings), clock=tool.clock, settings=settings, observer=observer)
    tool.media.queues.on_wake(worker.wake)
    return worker
