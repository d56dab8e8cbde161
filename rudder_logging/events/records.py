"""A record's one id and the template that names it, whoever makes its message.

A record is not written to, so both are found by what its copies share.
"""

from __future__ import annotations

import contextlib
import logging
import re
import textwrap
from collections.abc import Mapping
from copy import copy
from typing import Any

from ..exceptions import InvalidValueError
from .ids import new_message_id
from .table import EVENT_TYPES

__all__ = [
    "RECORD_IDS",
    "FormattedNameError",
    "LoguruText",
    "StructlogText",
    "is_named_by_text",
    "refuse_name",
    "template_of",
    "with_event_of_loguru",
]

_HEAD = b'{"messageId":"'
_BEGIN = len(_HEAD)
_END = _BEGIN + len(new_message_id(0))
_MOST_RECORDS = 5_000
_MOST_PLACES = 1_000
_MOST_TEXTS = 20
_MOST_LINES = 40
_METHODS = dict.fromkeys(("debug", "info", "warning", "error", "critical", "exception"), 0)
_METHODS["log"] = 1
_METHODS |= {f"a{name}": before for name, before in _METHODS.items()}
"""Of loggers, structlog's included, and how many arguments stand before the template."""
_CARRIERS = ("extra", "rudder")
"""Keywords that a call may carry an event by: a logger's, or structlog's."""


class _RecordIds:
    """Ids of records that may become a message more than once, in a file and by a handler.

    Of the last 5,000 records at least. They are known by their times, which logging makes anew
    for each record: not by their values but as objects, which `copy.copy` passes on.
    """

    wanted = False
    """Something else than a handler makes messages, too. If nothing does, none of this is done."""

    def __init__(self) -> None:
        self._young: dict[int, tuple[float, object, bytes]] = {}
        self._old = self._young

    def one_for_all(self, message: bytes, record: logging.LogRecord) -> bytes:
        """The message with the id that the record's first one had: its own, if it is the first.

        Ids are cut out and put in as bytes, which costs the call a tenth of what it does to give
        one to the encoder. Those that the app gives are the same in each message anyway.
        """
        born = record.__dict__.get("relativeCreated")
        if type(born) is not float or message[:_BEGIN] != _HEAD:
            return message
        if message.find(b'"', _BEGIN) != _END:
            return message
        key, created = id(born), record.created  # no other object's: this one is kept
        young = self._young
        known = young.get(key) or self._old.get(key)
        if known is None or known[0] is not born or known[1] is not created:
            if len(young) >= _MOST_RECORDS:
                self._old, self._young = young, {}
                young = self._young
            made = (born, created, message[_BEGIN:_END])
            known = young.setdefault(key, made)  # of two threads, one is first
            if known is made:
                return message
            if known[1] is not created:
                young[key] = made
                return message
        return message[:_BEGIN] + known[2] + message[_END:]


RECORD_IDS = _RecordIds()


class FormattedNameError(InvalidValueError):
    """An event would be named by a text that is not the log line's template.

    It is told once for each place that logs such events, and counted each time.
    """

    def __init__(self, message: str, *, is_new: bool) -> None:
        super().__init__(message)
        self.is_new = is_new
        """It was not told before."""


_calls: dict[tuple[str, int], _LogCall] = {}
"""By file and line."""
_told: set[tuple[str, int]] = set()


def is_named_by_text(fields: Any) -> str | None:
    """The field that the log line's template would be the value of; None: the event has its own."""
    if not isinstance(fields, Mapping):
        return None
    given = fields.get("type")
    row = EVENT_TYPES.get("track" if given is None else given) if _is_name(given) else None
    field = row.template_field if row else None
    if field is None or field.arg in fields or field.key in fields:
        return None
    return field.arg


def _is_name(given: object) -> bool:
    return given is None or isinstance(given, str)


class StructlogText(str):
    """A text that structlog may have formatted."""

    __slots__ = ()


class LoguruText(str):
    """A text that loguru has formatted, if there was anything to format: it does not tell."""

    __slots__ = ()


def with_event_of_loguru(record: logging.LogRecord) -> logging.LogRecord | None:
    """Find the event in the attribute `extra` of a record that loguru has made.

    Returns:
        A copy of the record that carries it as others do; None: there is none.
    """
    extra = record.__dict__["extra"]
    fields = extra.get("rudder") if type(extra) is dict else None
    if fields is None:
        return None
    found = copy(record)
    found.msg, found.args = LoguruText(record.msg), None
    found.__dict__.update(rudder=fields, rudder_on_commit=extra.get("rudder_on_commit"))
    return found


def template_of(record: logging.LogRecord, fields: Any) -> object:
    """Return the text that may name the event of a record without its arguments.

    A QueueHandler or loguru has put the formatted text, with a traceback, in the place of template
    and arguments; or structlog may have, without one.

    Raises:
        FormattedNameError: It is no template, and the event has no name of its own.
    """
    text = record.msg
    name = is_named_by_text(fields)
    if name is None or not isinstance(text, str):
        return text
    if isinstance(text, LoguruText):
        raise refuse_name(record, name)
    place = (record.pathname, record.lineno)
    call = _calls.get(place)
    if call is None:
        call = _LogCall(*place)
        if len(_calls) < _MOST_PLACES:
            call = _calls.setdefault(place, call)
    if not call.may_have_as_template(text):
        raise refuse_name(record, name)
    return str(text)


class _LogCall:
    """A log call of the app's: its template, as far as the source can be read and tells."""

    def __init__(self, path: str, line: int) -> None:
        self._template: str | None = None
        self._has_arguments: bool | None = None
        """For the template; None: the source does not tell."""
        self._texts: set[str] = set()
        """Taken for templates, where the source does not tell."""
        with contextlib.suppress(Exception):  # there is none, or it is another than what runs
            self._read(path, line)

    def _read(self, path: str, line: int) -> None:
        import ast  # noqa: PLC0415 - costly, and seldom needed
        import linecache  # noqa: PLC0415 - as above

        lines = linecache.getlines(path) if path.endswith(".py") else []
        statement = ast.Module([], [])
        for end in range(line, min(line + _MOST_LINES, len(lines) + 1)):
            with contextlib.suppress(SyntaxError):  # it goes on
                statement = ast.parse(textwrap.dedent("".join(lines[line - 1 : end])))
                break
        calls = [
            node
            for node in ast.walk(statement)
            if isinstance(node, ast.Call) and any(kw.arg in _CARRIERS for kw in node.keywords)
        ]
        if len(calls) != 1:  # which one it was, nobody knows
            return
        (call,) = calls
        before = _METHODS[call.func.attr if isinstance(call.func, ast.Attribute) else ""]
        template, *arguments = call.args[before:]
        if any(isinstance(given, ast.Starred) for given in (template, *arguments)):
            return
        if isinstance(template, ast.Constant) and isinstance(template.value, str):
            self._template = template.value
        if arguments or isinstance(template, (ast.Constant, ast.Name, ast.Attribute)):
            self._has_arguments = bool(arguments)

    def may_have_as_template(self, text: str) -> bool:
        """Say if a text that it has logged may be the template: unless something speaks against.

        Where the source does not tell, a place may have twenty texts. So few formatted ones become
        names, and functions of the app's that log a name given to them lose none.
        """
        if self._has_arguments:
            return False
        if self._template is not None and self._template in text:
            return text == self._template  # else there is a traceback, or a format of the queue's
        if re.search(r"[\d\n]", text):
            return False
        if self._template is None and self._has_arguments is not None:
            return True
        if len(self._texts) < _MOST_TEXTS:
            self._texts.add(text)
        return text in self._texts


_FORMATTERS: dict[type, str] = {StructlogText: "structlog", LoguruText: "loguru"}


def refuse_name(record: logging.LogRecord, name: str) -> FormattedNameError:
    """The error to raise where a field would be the formatted text."""
    place = (record.pathname, record.lineno)
    is_new = place not in _told
    if len(_told) < _MOST_PLACES:
        _told.add(place)
    by = _FORMATTERS.get(type(record.msg), "a QueueHandler")
    return FormattedNameError(
        f"{by} has put the formatted text in the template's place, and each text would "
        f"be another name; give {name!r} with the event",
        is_new=is_new,
    )
