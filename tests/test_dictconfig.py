"""Wiring by dictConfig and fileConfig, with dictionaries as JSON or YAML would hold them."""

from __future__ import annotations

import json
import logging
import logging.config
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane

from .conftest import WRITE_KEY

NAME = "dictconfigured"


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Take off what a test has configured."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.setLevel(level)
    for logger in (root, logging.getLogger(NAME)):
        for handler in list(logger.handlers):
            if isinstance(handler, RudderHandler):
                handler.close()
            logger.removeHandler(handler)
    root.handlers[:] = handlers
    logging.getLogger(NAME).disabled = False


def configure(handler: dict[str, Any], **more: Any) -> RudderHandler:
    """Configure one logger with one handler, by way of JSON."""
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"rudder": {"class": "rudder_logging.RudderHandler", **handler}},
        "loggers": {NAME: {"level": "INFO", "handlers": ["rudder"]}},
        **more,
    }
    logging.config.dictConfig(json.loads(json.dumps(config)))
    made = logging.getLogger(NAME).handlers[0]
    assert isinstance(made, RudderHandler)
    return made


def test_one_entry_wires_everything(plane: LocalDataPlane) -> None:
    """Class, key, URL and an option are all that it takes."""
    handler = configure({"write_key": WRITE_KEY, "data_plane_url": plane.url, "upload_size": 50})
    for number in range(120):
        logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": number}})
    assert handler.flush()
    assert [event["userId"] for event in plane.events] == [str(n) for n in range(120)]
    assert handler.config.upload_size == 50


def test_text_does_for_every_option(plane: LocalDataPlane) -> None:
    """Values may all be text, as from templates and environment variables."""
    handler = configure(
        {
            "write_key": WRITE_KEY,
            "data_plane_url": plane.url,
            "upload_size": "50",
            "upload_interval": "0.1",
            "gzip": "false",
            "context": '{"app": {"name": "shop"}}',
            "before_send": f"{__name__}:add_mark",
        }
    )
    logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    (event,) = plane.events
    assert event["context"]["app"] == {"name": "shop"}
    assert event["properties"] == {"marked": True}
    assert "content-encoding" not in plane.requests[0].headers


def add_mark(message: dict[str, Any]) -> dict[str, Any]:
    """A hook that a configuration names."""
    return {**message, "properties": {"marked": True}}


class OnlyWarnings(logging.Filter):
    """A filter that a configuration names."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep back one text."""
        return record.getMessage() != "filtered"


def test_formatter_filters_and_level_are_in_force(plane: LocalDataPlane) -> None:
    """The usual three keys mean what they mean for any handler."""
    handler = configure(
        {
            "write_key": WRITE_KEY,
            "data_plane_url": plane.url,
            "formatter": "events",
            "filters": ["own"],
            "level": "WARNING",
        },
        formatters={
            "events": {
                "()": "rudder_logging.RudderFormatter",
                "context": {"app": {"name": "shop"}},
            }
        },
        filters={"own": {"()": f"{__name__}.OnlyWarnings"}},
    )
    logger = logging.getLogger(NAME)
    logger.info("too low", extra={"rudder": {"user_id": 1}})
    logger.warning("filtered", extra={"rudder": {"user_id": 1}})
    logger.warning("passes", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    (event,) = plane.events
    assert (event["event"], event["context"]["app"]) == ("passes", {"name": "shop"})


def test_key_and_url_come_from_the_environment(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out is taken from RUDDER_<NAME>."""
    monkeypatch.setenv("RUDDER_WRITE_KEY", WRITE_KEY)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", plane.url)
    monkeypatch.setenv("RUDDER_UPLOAD_SIZE", "7")
    handler = configure({})
    logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    assert len(plane.events) == 1
    assert handler.config.upload_size == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"uplod_size": 1}, "did you mean 'upload_size'"),
        ({"upload_size": "many"}, "upload_size must be a whole number"),
        ({"write_key": ""}, "write_key must be"),
        ({"data_plane_url": "nowhere"}, "data_plane_url must look like https://"),
    ],
)
def test_mistakes_are_told_at_configuration(options: dict[str, Any], words: str) -> None:
    """DictConfig fails with the option's name and the cure."""
    base = {"write_key": "k", "data_plane_url": "https://example.com"}
    with pytest.raises(ValueError, match="rudder") as caught:
        configure({**base, **options})
    assert words in str(caught.value.__cause__)


def test_reconfiguring_over_and_over_loses_nothing(plane: LocalDataPlane) -> None:
    """Each dictConfig closes the handlers of the one before, with events still queued in them."""
    for number in range(10):
        configure({"write_key": WRITE_KEY, "data_plane_url": plane.url, "upload_interval": 60})
        logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": number}})
    logging.getLogger(NAME).handlers[0].flush()
    assert sorted(int(event["userId"]) for event in plane.wait_for(10)) == list(range(10))


def test_file_config(plane: LocalDataPlane, tmp_path: Path) -> None:
    """An ini file wires it, too, with positional or keyword arguments."""
    ini = tmp_path / "logging.ini"
    ini.write_text(
        f"""
[loggers]
keys=root,app
[handlers]
keys=rudder
[formatters]
keys=
[logger_root]
handlers=
[logger_app]
qualname={NAME}
level=INFO
handlers=rudder
[handler_rudder]
class=rudder_logging.RudderHandler
args=({WRITE_KEY!r},)
kwargs={{"data_plane_url": {plane.url!r}, "upload_size": 1}}
"""
    )
    logging.config.fileConfig(ini, disable_existing_loggers=False)
    logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": 1}})
    assert len(plane.wait_for(1)) == 1
