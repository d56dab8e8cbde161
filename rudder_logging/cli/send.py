"""`rudder-logging send TYPE`: one event from the command line, sent and acknowledged.

There is one sub-command per row of the table of event types; its flags are the row's fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import time
from typing import Any

import click
import orjson

from ..common.printable import printable
from ..config import Config
from ..events.defaults import as_json
from ..events.fields import (
    normalise_integrations,
    normalise_mapping,
    normalise_merge_properties,
    normalise_timestamp,
)
from ..events.formatter import RudderFormatter
from ..events.ids import new_message_id
from ..events.table import EVENT_TYPES, EventType, Field, check_size
from ..exceptions import InvalidEventError
from .common import (
    CONNECTION,
    BadInputError,
    FailedError,
    NearestGroup,
    config_options,
    load_config,
    privacy_option,
    show_json,
)
from .shipper import Shipper

__all__ = ["send"]

_MAPPINGS = (normalise_mapping, normalise_integrations)
_JSON = (*_MAPPINGS, normalise_merge_properties)
_TIMESTAMP_CURE = (
    "give one like 2026-01-31T12:00:00Z, or have the shell make it: "
    '--timestamp "$(date -d yesterday -Iseconds)"'
)
_PLURALS = {"properties": "property", "traits": "trait", "integrations": "integration"}


@click.group(cls=NearestGroup)
def send() -> None:
    """Send one event, and wait until the server has it.

    Prints the message's id once the data plane has acknowledged it, or, with --relay, the engine
    from which a relay will take it. Whatever keeps it from
    arriving is told in one line, and the exit code is 1; nothing is kept for later.

    \b
    rudder-logging send track --user-id 42 --event "Order Completed" --property revenue=49.9
    rudder-logging send identify --user-id 42 --traits '{"plan": "pro"}' --json
    """  # noqa: D301 - click's own sign: do not wrap


def _command(row: EventType) -> click.Command:
    """The sub-command of one type."""

    def callback(*, is_json: bool, **given: Any) -> None:
        fields = {field.arg: _value(row, field, given) for field in row.fields}
        options = ("shutdown_timeout", "privacy", *CONNECTION)
        _send(row, fields, load_config(**{name: given[name] for name in options}), is_json=is_json)

    callback.__doc__ = f"{row.doc}\n\nPrints the message's id once the data plane has it."
    for decorate in reversed(
        [
            *(option for field in row.fields for option in _options(field)),
            config_options("shutdown_timeout", *CONNECTION),
            privacy_option(),
            click.option("--json", "is_json", is_flag=True, help="Print message and outcome."),
        ]
    ):
        callback = decorate(callback)
    return click.command(row.name, short_help=row.doc)(callback)


def _options(field: Field) -> list[Callable[[Any], Any]]:
    """The flags of one field."""
    flag = _flag(field)
    required = " Required." if field.required else ""
    if field.normalise not in _JSON:
        return [click.option(flag, field.arg, metavar="TEXT", help=field.doc + required)]
    help_text = field.doc.replace("`", "") + " As JSON." + required
    options = [click.option(flag, field.arg, metavar="JSON", help=help_text)]
    single = _PLURALS.get(field.arg)
    if single is not None:
        help_text = "One of them; repeat it for more. The value is JSON, or else text."
        options.append(
            click.option(f"--{single}", single, metavar="NAME=VALUE", multiple=True, help=help_text)
        )
    return options


def _value(row: EventType, field: Field, given: dict[str, Any]) -> Any:
    """The value of one field, as the flags give it; None: they do not."""
    text = given[field.arg]
    if field.normalise not in _JSON:
        return text
    value = None
    if text is not None:
        flag = _flag(field)
        try:
            value = _json(text)
        except (ValueError, RecursionError) as error:
            position = getattr(error, "pos", None)
            where = "" if position is None else f" (at character {position + 1})"
            raise BadInputError(
                f"{row.name}: {flag} is no JSON{where}; quote it: '{{...}}'"
            ) from None
        if field.normalise in _MAPPINGS and not isinstance(value, dict):
            raise BadInputError(f"{row.name}: {flag} must be a JSON object: '{{...}}'")
    single = _PLURALS.get(field.arg, "")
    for pair in given.get(single) or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise BadInputError(f"{row.name}: --{single} must look like NAME=VALUE")
        value = {**(value or {}), name: _json_or_text(text)}
    return value


def _json(text: str) -> Any:
    """Parse JSON by the standard library, which keeps all digits: a long number is an id."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _json_or_text(text: str) -> Any:
    try:
        return _json(text)
    except (ValueError, RecursionError):
        return text


def _send(row: EventType, fields: dict[str, Any], config: Config, *, is_json: bool) -> None:
    queued = _private(_encode(row, fields, config), config)
    message = orjson.loads(queued + b"}")
    shipper = Shipper(config, patience=config.shutdown_timeout)
    try:
        settled = shipper.ship([queued])
    finally:
        shipper.close()
    refusal = shipper.refused.get(message["messageId"])
    outcome = ("refused" if refusal else "delivered") if settled else "not delivered"
    if is_json:
        fault = refusal or (None if settled else shipper.fault)
        show_json({"message": message, "outcome": outcome, "fault": fault})
    if refusal:
        raise FailedError(refusal)
    if not settled:
        unknown = ", though it may have arrived" if shipper.may_have_arrived else ""
        raise FailedError(
            f"not delivered to {config.destination}{unknown}: {shipper.fault}. Nothing is kept; "
            f"to send it again as the same event, add --message-id {message['messageId']}"
        )
    if not is_json:
        click.echo(printable(message["messageId"]))


def _encode(row: EventType, fields: dict[str, Any], config: Config) -> bytes:
    """The message as a handler would queue it."""
    fields = {name: value for name, value in fields.items() if value is not None}
    fields.setdefault("message_id", new_message_id())
    formatter = RudderFormatter()
    own = as_json(config.context), as_json(config.integrations)
    defaults = formatter.event_defaults.under(*own)
    try:
        queued = formatter.encode({"type": row.name, **fields}, "", time(), defaults)
        check_size(len(queued) + 1, config.max_event_bytes)
    except InvalidEventError as error:
        text = str(error)
        for field in row.fields:
            if field.normalise is normalise_timestamp and repr(field.arg) in text:
                text = f"{text.partition('; ')[0]}; {_TIMESTAMP_CURE}"
            text = text.replace(repr(field.arg), _flag(field))
        raise BadInputError(text) from None
    return queued


def _private(queued: bytes, config: Config) -> bytes:
    """The message as the option `privacy` lets it leave."""
    if config.privacy is None:
        return queued
    from ..privacy.stages import Stages  # noqa: PLC0415 - few ask for it

    stages = Stages(config.privacy)
    stages.look_at_all()
    passed = stages.passed(queued, stages.redaction.hasher())
    if isinstance(passed, bytes):
        return passed
    raise FailedError(f"the option privacy (--privacy, RUDDER_PRIVACY) keeps it back: {passed}")


def _flag(field: Field) -> str:
    return "--" + field.arg.replace("_", "-")


for _row in EVENT_TYPES.values():
    send.add_command(_command(_row))
