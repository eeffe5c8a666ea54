"""locust as it is used: fast HTTP users that each read the course's messages so many times a second, in a closed loop.

Arguments: address, Authorization, users, requests a second of each, seconds. Prints a line of JSON.
"""

from __future__ import annotations

import locust  # isort: skip - first of all, since it has gevent patch the standard library

import json
import sys
import time
from typing import Any

import gevent
from locust.env import Environment

PATH = "/api/chat/messages?limit=1"


def main() -> None:
    """Run the users and print what locust measured."""
    url, authorization, users, each, seconds = sys.argv[1:]

    class Member(locust.FastHttpUser):  # type: ignore[misc]  # locust is an extra, of which mypy knows nothing
        host = url
        wait_time = locust.constant_throughput(float(each))

        @locust.task  # type: ignore[untyped-decorator]
        def read(self) -> None:
            self.client.get(PATH, headers={"Authorization": authorization}, name="read")

    environment: Any = Environment(user_classes=[Member])
    environment.create_local_runner()
    environment.runner.start(int(users), spawn_rate=int(users))
    gevent.sleep(1)
    environment.runner.stats.clear_all()
    cpu, began = time.process_time(), time.monotonic()
    gevent.sleep(float(seconds))
    cpu, took = time.process_time() - cpu, time.monotonic() - began
    total = environment.stats.total
    told = {
        "count": total.num_requests, "failed": total.num_failures, "rate": total.num_requests / took,
        "p99": (total.get_response_time_percentile(0.99) or 0) / 1000, "most": total.max_response_time / 1000,
        "cpu": cpu / took,
    }  # fmt: skip
    print(json.dumps(told), flush=True)
    environment.runner.quit()


if __name__ == "__main__":
    main()
