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

from ..conftest import WRITE_KEY

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


S3_IS_ON = False
REGION = {"name": "eu", "zones": ("a", "b")}


def test_references_are_resolved_at_every_depth(plane: LocalDataPlane) -> None:
    """`ext://` and `cfg://` in mappings and lists; a False behind one is False."""
    handler = configure(
        {
            "write_key": WRITE_KEY,
            "data_plane_url": plane.url,
            "context": {
                "region": f"ext://{__name__}.REGION",
                "app": {"names": ["cfg://names.app", f"ext://{__name__}.NAME"]},
                "text": "ext is a word",
            },
            "integrations": {"S3": f"ext://{__name__}.S3_IS_ON"},
            "proxies": {"no_proxy": "cfg://names.local"},
            "client_cert": None,
        },
        names={"app": "shop", "local": "127.0.0.1"},
    )
    assert handler.config.proxies == {"no_proxy": "127.0.0.1"}
    logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": 1}})
    assert handler.flush()
    (event,) = plane.events
    assert event["context"]["region"] == {"name": "eu", "zones": ["a", "b"]}
    assert event["context"]["app"] == {"names": ["shop", NAME]}
    assert event["context"]["text"] == "ext is a word"
    assert event["integrations"] == {"All": True, "S3": False}


def test_references_in_a_formatters_arguments_are_resolved(tmp_path: Path) -> None:
    """Ours, and those of python-json-logger."""
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "rudder_logging.RudderFormatter",
                "context": {"region": [f"ext://{__name__}.REGION"]},
                "integrations": {"S3": f"ext://{__name__}.S3_IS_ON"},
                "static_fields": {"app": "cfg://name"},
            }
        },
        "handlers": {
            "file": {
                "class": "logging.FileHandler",
                "filename": str(tmp_path / "lines.jsonl"),
                "formatter": "json",
            }
        },
        "loggers": {NAME: {"level": "INFO", "handlers": ["file"]}},
        "name": "shop",
    }
    logging.config.dictConfig(config)
    logging.getLogger(NAME).info("line")
    logging.getLogger(NAME).info("e", extra={"rudder": {"user_id": 1}})
    (handler,) = logging.getLogger(NAME).handlers
    handler.close()
    line, event = map(json.loads, (tmp_path / "lines.jsonl").read_text().splitlines())
    assert line["app"] == "shop"
    assert event["context"]["region"] == [{"name": "eu", "zones": ["a", "b"]}]
    assert event["integrations"] == {"All": True, "S3": False}


@pytest.mark.parametrize(
    ("reference", "says"),
    [("ext://no.such.module", "Cannot resolve"), ("cfg://handlers.rudder", "RecursionError")],
)
def test_a_reference_that_leads_nowhere_is_told(reference: str, says: str) -> None:
    """By the option's name, where the handler is made."""
    given = {"write_key": WRITE_KEY, "data_plane_url": "http://127.0.0.1:9"}
    with pytest.raises(ValueError, match="rudder") as caught:
        configure({**given, "context": {"a": reference}})
    assert "context" in str(caught.value.__cause__)
    assert says in str(caught.value.__cause__)


def test_events_and_other_lines_go_separate_ways(tmp_path: Path) -> None:
    """A file of events, and one of all other lines, by filters that are wired by name."""
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "events": {"()": "rudder_logging.EventsOnly"},
            "others": {"()": "rudder_logging.NoEvents"},
        },
        "formatters": {"message": {"format": "%(message)s"}},
        "handlers": {
            name: {
                "class": "logging.FileHandler",
                "filename": str(tmp_path / name),
                "filters": [name],
                "formatter": "message",
            }
            for name in ("events", "others")
        },
        "loggers": {NAME: {"level": "INFO", "handlers": ["events", "others"]}},
    }
    logging.config.dictConfig(config)
    logger = logging.getLogger(NAME)
    logger.info("an event", extra={"rudder": {"user_id": 1}})
    logger.info("a line")
    logger.info("a line too", extra={"rudder": None})
    for handler in logger.handlers:
        handler.close()
    assert (tmp_path / "events").read_text() == "an event\n"
    assert (tmp_path / "others").read_text() == "a line\na line too\n"
