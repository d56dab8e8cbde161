"""Rules of fields: the values that each takes, what is sent for them, and the error for others.

A rule gets the name to complain under and the value an app gave, and returns what is sent.
"""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from numbers import Integral
from typing import Any

from ..exceptions import InvalidTypeError, InvalidValueError
from .encoding import actual, entries_of, isoformat

__all__ = [
    "Field",
    "are_known_integrations",
    "normalise_event_name",
    "normalise_id",
    "normalise_integrations",
    "normalise_mapping",
    "normalise_merge_properties",
    "normalise_text",
    "normalise_timestamp",
    "parse_rfc_3339",
    "type_of",
    "visible",
]


_log = logging.getLogger("rudder_logging")


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a message: its names, its rule, and what it is for."""

    arg: str
    """In Python: `group_id`."""
    key: str
    """On the wire: `groupId`."""
    normalise: Callable[[str, Any], Any]
    """Turns a place and an app's value into what is sent, or raises InvalidEventError."""
    doc: str
    required: bool = False
    from_template: bool = False
    """Left out, it is the record's message template."""
    bindable: bool = False
    """`bind()` and `EventLogger` may provide it."""


_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that Python would print, and the gateway drops from ids."""


def visible(text: str) -> str:
    """An id as the gateway compares it: without invisible characters (rudder-go-kit: sanitize)."""
    kept = [char for char in text if char.isprintable() and char not in _INVISIBLE]
    return "".join(kept).strip()


def normalise_id(where: str, value: Any) -> str:
    """An id, trimmed as the gateway compares it; a number as text, as the gateway would make it."""
    if type(value) is not str and isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        text = value.strip()
        if text and ((text.isascii() and text.isprintable()) or visible(text)):
            return text
        raise InvalidValueError(
            f"{where} is blank, or all invisible characters; give a non-empty str, or leave it out"
        )
    if isinstance(value, Integral) and not isinstance(value, bool):
        try:
            return str(int(value))
        except ValueError:  # over sys.get_int_max_str_digits()
            raise InvalidValueError(f"{where} is an int of too many digits; give a str") from None
    if isinstance(value, uuid.UUID):
        return str(value)
    raise InvalidTypeError(f"{where} must be a str, an int or a UUID, not {type_of(value)}")


def normalise_text(where: str, value: Any) -> str:
    """A name."""
    if type(value) is str:
        return value
    if isinstance(value, Enum) and isinstance(value.value, str):
        value = value.value
    if not isinstance(value, str):
        raise InvalidTypeError(f"{where} must be a str, not {type_of(value)}")
    return value


def normalise_event_name(where: str, value: Any) -> str:
    """Text that is not blank."""
    name = value if type(value) is str else normalise_text(where, value)
    if not name.strip():
        raise InvalidValueError(f"{where} is blank; give the name of what happened")
    return name


def normalise_mapping(where: str, value: Any) -> Mapping[str, Any]:
    """A mapping that can be read."""
    if type(value) is dict:
        return value
    if not isinstance(value, Mapping):
        raise InvalidTypeError(f"{where} must be a mapping, not {type_of(value)}; give a dict")
    try:
        return entries_of(value)
    except Exception as error:  # noqa: BLE001 - a mapping of the app's may raise anything
        # Left as it is, it would be sent as text, which the server takes, and then loses.
        raised = type_of(error.__cause__ or error)
        raise InvalidValueError(
            f"{where} can't be read: {type_of(value)} raised {raised}; give a dict"
        ) from None


def normalise_integrations(where: str, value: Any) -> Mapping[str, Any]:
    """A mapping from names of integrations to what the server takes for them."""
    # The server drops an event whose integrations are anything else for all destinations, after
    # a 200 (processor/integrations/integrations.go).
    integrations = normalise_mapping(where, value)
    if "All" in integrations and not isinstance(integrations["All"], bool):
        given = type_of(integrations["All"])
        raise InvalidTypeError(f"{where}: 'All' must be True or False, not {given}")
    for name in integrations:
        if name not in _integrations_named:
            _note_integration(name)
    return integrations


_integrations_named = {"All"}
are_known_integrations = _integrations_named.issuperset
"""Tells if each of some names has been noted."""
_by_folded_name = {"all": "All"}
_MOST_INTEGRATIONS = 1_000
_LONGEST_INTEGRATION = 64  # no destination's name is longer, and those that are seen are kept


def _note_integration(name: object) -> None:
    """Warn once of a name that differs from another by case alone: one of them reaches nothing."""
    if not isinstance(name, str) or len(name) > _LONGEST_INTEGRATION:
        return
    if len(_integrations_named) >= _MOST_INTEGRATIONS:
        return
    _integrations_named.add(name)
    other = _by_folded_name.setdefault(name.casefold(), name)
    if other != name:
        _log.warning(
            "integrations: %.64r and %.64r differ by case alone, and the server ignores the one "
            "that is not the destination's name as the dashboard shows it; write that (said once)",
            other,
            name,
        )


# As text, because the package's import should not have to wait until they are compiled. Each form
# is one that a real server reads to the same moment (tests/contract/timestamps.jsonl): it reads
# others to a wrong one, and ignores the rest. Nor is Python's own parser asked, which reads more
# from one version to the next.
_OFFSET = r"(?P<east>[+-]\d\d):?(?P<minutes>[0-5]\d)"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAY, _MONTH, _YEAR = "[A-Z][a-z][a-z]", f"(?P<month>{'|'.join(_MONTHS)})", r"(?P<year>\d{4})"
_RFC_3339 = (
    rf"{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)"
    rf"(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{{1,9}}))?)?(?:Z|{_OFFSET})?)?"
)
_EPOCH = r"\d{10}|\d{13}|\d{16}|\d{19}"
_PROSE = (
    # RFC 1123, as HTTP and mail have it
    rf"{_WEEKDAY}, (?P<day>\d\d?) {_MONTH} {_YEAR} {_CLOCK} (?:GMT|UTC|{_OFFSET})",
    # JavaScript's `String(date)`
    rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d) {_YEAR} {_CLOCK} GMT{_OFFSET}(?: \(.*\))?",
    # C's `ctime`
    rf"{_WEEKDAY} {_MONTH} (?P<day>[ \d]\d) {_CLOCK} {_YEAR}",
)
_TIMESTAMP_CURE = "give an aware datetime, or RFC 3339 text like '2026-01-31T12:00:00Z'"


def normalise_timestamp(where: str, value: Any) -> str:
    """A time as text that the server's parser takes: others it ignores without a word."""
    if isinstance(value, datetime):
        with contextlib.suppress(OverflowError):  # year 1, with an offset to the second
            text = isoformat(value)
            if text is not None:
                return text
    elif isinstance(value, date):
        return value.isoformat()
    elif not isinstance(value, str):
        raise InvalidTypeError(
            f"{where} must be a datetime or text, not {type_of(value)}; {_TIMESTAMP_CURE}"
        )
    elif parse_rfc_3339(value) or re.fullmatch(_EPOCH, value, re.ASCII):
        return value
    else:
        moment = _of_prose(value)
        if moment is not None:
            return moment.isoformat()
    raise InvalidValueError(f"{where} can't be parsed as a time; {_TIMESTAMP_CURE}")


def parse_rfc_3339(text: str) -> datetime | None:
    """The moment of RFC 3339 text, to the microsecond, without a zone in UTC; None: it has none."""
    match = re.fullmatch(_RFC_3339, text, re.ASCII)
    return None if match is None else _moment(**match.groupdict())


def _of_prose(text: str) -> datetime | None:
    """The moment in other texts that the server reads rightly; None: it is none of them."""
    for form in _PROSE:
        match = re.fullmatch(form, text, re.ASCII)
        if match is not None:
            parts = match.groupdict()
            return _moment(**parts | {"month": _MONTHS.index(parts["month"]) + 1})
    return None


def _moment(
    east: str | None = None, minutes: str | None = None, fraction: str | None = None, **parts: Any
) -> datetime | None:
    """The moment that digits name; None: there is no such day or hour. Parts may be missing."""
    sign = -1 if (east or "").startswith("-") else 1
    offset = sign * timedelta(hours=abs(int(east or 0)), minutes=int(minutes or 0))
    try:
        return datetime(
            **{name: int(digits or 0) for name, digits in parts.items()},
            microsecond=int(f"{fraction or '':0<6.6}"),
            tzinfo=timezone(offset),
        )
    except ValueError:  # 30 February, hour 24, second 60
        return None


_IDENTIFIERS_IN_A_MERGE = 2


def normalise_merge_properties(where: str, value: Any) -> list[dict[str, str]]:
    """The two identifiers of a merge."""
    # The documentation promises any number of identifiers; the server takes exactly two.
    shape = "exactly two mappings, each with a non-empty 'type' and 'value'"
    if not isinstance(value, (list, tuple)):
        raise InvalidTypeError(f"{where} must be a list of {shape}, not {type_of(value)}")
    if len(value) != _IDENTIFIERS_IN_A_MERGE:
        raise InvalidValueError(f"{where} must be {shape}; it has {len(value)} items")
    pairs = []
    for number, item in enumerate(value, 1):
        if not isinstance(item, Mapping):
            raise InvalidTypeError(f"{where}: item {number} is {type_of(item)}; give {shape}")
        if set(item) != {"type", "value"}:
            raise InvalidValueError(
                f"{where}: item {number} must have just 'type' and 'value'; give {shape}"
            )
        pairs.append({key: normalise_id(f"{where}: {key!r}", actual(item[key])) for key in item})
    return pairs


def type_of(value: object) -> str:
    """The name of a value's type, by which errors call it: never by its content."""
    return "None" if value is None else type(value).__name__
