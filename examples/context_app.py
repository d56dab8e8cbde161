"""Fields that many events share: of a request, in a thread pool, in a task elsewhere."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from rudder_logging import RudderHandler, bind, bind_lazily, carry, current, dump_bound, load_bound

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler()])
logger = logging.getLogger("shop")
pool = ThreadPoolExecutor()


def visitor() -> dict[str, object]:
    """Ask for what costs something: only if an event is logged."""
    return {"anonymous_id": "a1", "context": {"ip": "203.0.113.7"}}


def track(event: str) -> None:
    """Log an event with nothing of its own."""
    logger.info(event, extra={"rudder": {}})


def login() -> str:
    """Serve a request."""
    with bind(context={"page": {"path": "/login"}}), bind_lazily(visitor):
        track("Login Viewed")
        current().set(user_id="42")
        pool.submit(carry(track), "Password Checked").result()
        return dump_bound()


def send_mail(header: str) -> None:
    """Do a task, in a worker that got the header with its message."""
    with load_bound(header):
        track("Mail Sent")


send_mail(login())
