"""Log events, and see them arrive: no account needed, a local data plane is embedded.

Run it: python examples/quickstart.py
"""

from __future__ import annotations

import logging
import logging.config
import sys

import rudder_logging as rudder_analytics
from rudder_logging import RudderHandler, bind
from rudder_logging.dataplane import LocalDataPlane

WRITE_KEY = "quickstart-write-key"


def configure(data_plane_url: str) -> None:
    """What an app has in its settings."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "console": {"class": "logging.StreamHandler"},
                "rudder": {
                    "class": "rudder_logging.RudderHandler",
                    "write_key": WRITE_KEY,
                    "data_plane_url": data_plane_url,
                    "context": {"app": {"name": "quickstart"}},
                },
            },
            "root": {"level": "INFO", "handlers": ["console", "rudder"]},
        }
    )


def use_logging() -> None:
    """Events by the logging that the app already has."""
    logger = logging.getLogger("shop.checkout")
    logger.info("an ordinary line, which stays at home")
    logger.info(
        "Order Completed",
        extra={"rudder": {"user_id": "123456", "properties": {"revenue": 49.9, "items": 3}}},
    )
    with bind(user_id="123456", context={"ip": "203.0.113.7"}):
        logger.info("Coupon %s used", "WELCOME", extra={"rudder": {"event": "Coupon Used"}})


def use_calls() -> None:
    """Events by the calls of the RudderStack Python SDK's documentation."""
    rudder_analytics.identify("123456", {"email": "name@surname.com", "name": "John Doe"})
    rudder_analytics.track("123456", "Article Read", {"title": "The Independence"})
    rudder_analytics.page(
        "123456", "Documentation", "Sample Doc", {"url": "http://rudderstack.com"}
    )
    rudder_analytics.screen("123456", "Settings", "Brightness", {"from": "Settings Screen"})
    rudder_analytics.group("123456", "group-1", {"name": "Company", "domain": "IT"})
    rudder_analytics.alias("previous-id", "123456")


def show(plane: LocalDataPlane) -> None:
    """What the data plane received, as a table."""
    print(f"\n{len(plane.events)} events arrived at {plane.url}:\n")
    print(f"{'type':<10}{'event or name':<18}{'user':<10}{'content'}")
    for event in plane.events:
        what = event.get("event") or event.get("name") or event.get("groupId") or ""
        content = event.get("properties") or event.get("traits") or ""
        print(f"{event['type']:<10}{what:<18}{event['userId']:<10}{content}")


def main() -> None:
    """Do all of it."""
    with LocalDataPlane(write_key=WRITE_KEY) as plane:
        configure(plane.url)
        use_logging()
        use_calls()
        handler = next(h for h in logging.getLogger().handlers if isinstance(h, RudderHandler))
        arrived = handler.flush()
        show(plane)
        stats = handler.stats()
        print(
            f"\nThe ledger: {stats.accepted} accepted = {stats.delivered} delivered "
            f"+ {sum(stats.dropped.values())} dropped + {stats.refused} refused "
            f"+ {stats.pending} pending"
        )
        handler.close()
    if not arrived:
        sys.exit("quickstart: events have not arrived; see the lines above for the reason")


if __name__ == "__main__":
    main()
