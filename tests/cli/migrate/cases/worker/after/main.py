"""A worker with a client for each of its sources."""

import os
import queue
import threading

from rudder_logging import Client

KEY, URL = os.environ["WRITE_KEY"], os.environ["DATA_PLANE_URL"]


class Tenant:
    def __init__(self, name: str) -> None:
        self.name = name
        self.client = Client(KEY, URL, debug=False, max_queue_size=1000, send=True, on_error=None, gzip=True, max_retries=3)

    def handle(self, job: dict) -> None:
        self.client.track(
            user_id=job["user"],
            event="Job Done",
            properties={"tenant": self.name, "tags": ["a", "b"]},
        )

    def close(self) -> None:
        self.client.flush()
        self.client.join()


def work(jobs: queue.Queue, tenants: dict) -> None:
    while (job := jobs.get()) is not None:
        tenants[job["tenant"]].handle(job)


if __name__ == "__main__":
    jobs = queue.Queue()
    tenants = {name: Tenant(name) for name in ("one", "two")}
    thread = threading.Thread(target=work, args=(jobs, tenants))
    thread.start()
    for number in range(20):
        jobs.put({"tenant": "one" if number % 2 else "two", "user": f"u{number}"})
    jobs.put(None)
    thread.join()
    for tenant in tenants.values():
        tenant.close()
