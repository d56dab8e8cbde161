"""Any Python value as JSON that the gateway takes: a private copy, and one orjson pass over it.

The rules (the gateway itself turns every number into a float64, refuses NaN, and loses deeply
nested events after a 200):

- NaN and infinities become null; integers beyond 2^53 become strings.
- Lone surrogates become U+FFFD; keys become strings.
- Over 100 levels of nesting, where every cycle ends up, the event is refused. It is refused, too,
  with more values than any upload has room for.
- Types that JSON lacks are converted by `jsonable`, stand-ins for other objects by what they stand
  for; what nobody knows becomes its text.

Why a copy: orjson reads containers in place. If Python code runs meanwhile (a `default`, an enum's
`value`, a finalizer), another thread may change them, and the process dies. So orjson gets
containers that nobody else knows, with nothing in them that runs Python code.

A dict that the garbage collector does not track has neither containers nor objects of Python's own
classes in it (up to 3.13; later all are tracked). Of what it may have, orjson writes JSON's own
types by itself, and raises for dates and numbers that have to be converted: so only then are its
values looked at. `orjson.Fragment` may be in it, too: text that the app has made itself is sent as
it is.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections import UserString, deque
from collections.abc import Callable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from gc import is_tracked
from operator import methodcaller
from os import PathLike
from typing import Any
from uuid import UUID

import orjson

from ..exceptions import InvalidEventError, InvalidValueError

__all__ = [
    "JSON_OPTIONS",
    "MAX_DEPTH",
    "MAX_VALUES",
    "MOST_PLAIN_DEPTH",
    "NATIVE",
    "actual",
    "are_native",
    "convert",
    "copy_within",
    "dumps",
    "entries_of",
    "is_of_no_use",
    "isoformat",
    "jsonable",
    "key_of",
    "millisecond_of",
    "repaired",
    "stands_in",
    "utc_milliseconds",
]

MAX_DEPTH = 100
"""Levels of nesting that a message may have. The server loses an event at 9,998 and gets slow
long before; orjson stops at 254."""

MAX_VALUES = 4_096_000 // 8
"""The gateway takes so many bytes in one upload; a value has about eight, with key and comma.
Lists that hold each other several times may stand for far more, and would take for ever."""

_MAX_EXACT_INTEGER = 2**53
JSON_OPTIONS = (
    orjson.OPT_STRICT_INTEGER
    # What would run Python code amid orjson's work raises instead.
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_DECIMAL_DIGITS_OF_A_FLOAT = 15
_MICROSECOND_ROUNDING = 0.0005  # milliseconds: to the microsecond first, as datetime does it
_NUMPY_TIMES = {"M8": "datetime64[us]", "m8": "timedelta64[us]"}
_FINER_THAN_MICROSECONDS = frozenset({"[ns]", "[ps]", "[fs]", "[as]"})
_READS_OF_WHAT_CHANGES = 20
_MOST_TYPES_TOLD = 1_000

_log = logging.getLogger("rudder_logging")
_warned_about_naive_datetime = False
_told_types: set[str] = set()


def dumps(message: dict[str, Any]) -> bytes:
    """Serialise a message, whatever its values are, to UTF-8 JSON, without changing it.

    Raises:
        InvalidValueError: It is nested over `MAX_DEPTH` levels, or contains itself, or has over
            half a million values; or other threads change it too fast.
    """
    private = _native(message, 0, [MAX_VALUES])
    try:
        return orjson.dumps(private, None, JSON_OPTIONS)
    except (TypeError, ValueError):
        # Big integers, keys that are not strings, lone surrogates: rare, and worth a slower pass.
        return orjson.dumps(repaired(private))


NATIVE = frozenset({str, int, float, bool, type(None)})
"""Types of values that orjson writes as they are."""
MOST_PLAIN_DEPTH = 20
"""Levels that are copied without a look at who holds whom."""
_CONTAINERS = frozenset({dict, list, tuple})
_PLAIN = NATIVE | _CONTAINERS
"""Types that orjson writes by itself. It does so with a UUID, too, and crashes over one that is
half made; a date has a `tzinfo` of the app's, which is Python code."""

are_native = NATIVE.issuperset
"""Tells if all of some types are of values that orjson takes without a look inside.

What the garbage collector tracks holds others: to ask that first spares looking twice.
"""


def copy_within(copy: dict[Any, Any], depth: int, room: int) -> int:
    """Have a dict, which nobody else knows, hold private copies of plain containers.

    It does what `convert` does, where no more is needed, in two thirds of the time: 5 % of a call
    with an order of three lines.

    Args:
        copy: It is changed. Of what is in untracked dicts, orjson takes most, and raises for the
            rest.
        depth: Containers around it.
        room: How many values may still come.

    Returns:
        How many may come after it.

    Raises:
        TypeError: `convert` is to look at it.
    """
    if depth >= MOST_PLAIN_DEPTH:
        raise TypeError
    made: Any
    for key, value in copy.items():
        kind = type(value)
        if kind is str or kind in NATIVE:
            continue
        if type(key) is not str:
            raise TypeError
        # Each level is read in one step of the interpreter: see `convert`.
        if kind is dict:
            made = {**value}
            if is_tracked(made):
                room = copy_within(made, depth + 1, room)
        elif kind is list or kind is tuple:
            made = [*value]
            if not are_native(map(type, made)):
                room = _copy_within_list(made, depth + 1, room)
        else:
            raise TypeError
        copy[key] = made
        room -= len(made)
        if room < 0:
            raise TypeError
    return room


def _copy_within_list(copy: list[Any], depth: int, room: int) -> int:
    for index, value in enumerate(copy):
        if type(value) is dict:
            copy[index] = made = {**value}
            if is_tracked(made):
                room = copy_within(made, depth + 1, room)
            room -= len(made)
            if room < 0:
                raise TypeError
        elif type(value) not in NATIVE:
            raise TypeError
    return room


def convert(copy: Any, depth: int, room: list[int]) -> Any:
    """A dict or list, which nobody else knows, with all its values made what orjson takes.

    Args:
        copy: It is changed.
        depth: Containers around it.
        room: How many values it may still have, in a list to be counted down.

    Returns:
        The same; or another, if it is a dict whose keys had to be made text.

    Raises:
        InvalidValueError: See `dumps`.
    """
    left = room[0] - len(copy)
    if left < 0 or depth >= MAX_DEPTH:
        raise _unfit(left)
    depth += 1
    is_dict = type(copy) is dict
    made: Any
    for key, value in copy.items() if is_dict else enumerate(copy):
        kind = type(value)
        if kind in NATIVE:
            continue
        if is_dict and type(key) is not str:
            # It may have a hash of the app's, which need not even stay the same.
            return convert({key_of(key): item for key, item in copy.items()}, depth - 1, room)
        # Of a container, each level is read in one step of the interpreter: so it is as it was at
        # one time, whoever changes it. To look at its values in here, and not in a call of its
        # own, saves 5 % of a call with an order of three lines, or with nested mappings.
        if kind is dict:
            made = {**value}
            is_leaf = not is_tracked(made) and are_native(map(type, made.values()))
        elif kind is list or kind is tuple:
            made = [*value]
            is_leaf = are_native(map(type, made))
        else:
            room[0] = left
            copy[key] = _native(jsonable(value), depth, room)
            left = room[0]
            continue
        if is_leaf:
            left -= len(made)
            if left < 0 or depth >= MAX_DEPTH:
                raise _unfit(left)
            copy[key] = made
        else:
            room[0] = left
            copy[key] = convert(made, depth, room)
            left = room[0]
    room[0] = left
    return copy


def _native(value: Any, depth: int, room: list[int]) -> object:
    for _ in range(MAX_DEPTH):  # conversions of one value, which have to end somewhere
        kind = type(value)
        if kind in NATIVE:
            return value
        if kind in _CONTAINERS:
            return convert({**value} if kind is dict else [*value], depth, room)
        value = jsonable(value)
    raise _unfit(0)


def repaired(value: Any) -> Any:
    """A private container with the rules applied that orjson does not know."""
    kind = type(value)
    if kind is str:
        return _valid_text(value)
    if kind is int:
        return _exact(value)
    if kind is dict:
        return {key_of(key): repaired(item) for key, item in value.items()}
    if kind is list:
        return [repaired(item) for item in value]
    return value


def _unfit(room: int) -> InvalidValueError:
    if room < 0:
        return InvalidValueError(
            f"the event has over {MAX_VALUES:,} values; send fewer with it "
            "(do lists or dicts hold each other several times?)"
        )
    return InvalidValueError(
        f"the event is nested over {MAX_DEPTH} levels, or contains itself; flatten it"
    )


def jsonable(value: Any) -> object:
    """One step from a value that orjson does not know towards one that it does.

    Raises:
        InvalidValueError: It is a container that other threads change too fast.
    """
    convert = _CONVERTERS.get(type(value))
    try:
        return convert(value) if convert else _convert_by_kind(value)
    except InvalidEventError:
        raise
    except Exception:  # noqa: BLE001 - a __repr__ or property of the app's may raise anything
        return f"<{type(value).__qualname__}>"


def stands_in(value: object) -> bool:
    """Tell if a value passes for one of another type, or for text.

    Django's SimpleLazyObject, werkzeug's LocalProxy and wrapt's ObjectProxy give the other's
    `__class__`, so `isinstance` is true of them; what is written in C goes by their own type.
    """
    return value.__class__ is not type(value) or isinstance(value, UserString)


def actual(value: Any) -> Any:
    """Return the object that a value stands in for; else the value itself."""
    return jsonable(value) if type(value) not in _PLAIN and stands_in(value) else value


def entries_of(mapping: Any) -> dict[Any, Any]:
    """A mapping's entries, in a dict of ours.

    Raises:
        InvalidValueError: Other threads change it too fast.
    """
    entries: dict[Any, Any] = _read(_dict_of, mapping)
    return entries


def _dict_of(mapping: Any) -> dict[Any, Any]:
    return dict(mapping) if type(mapping) is dict else dict(mapping.items())


def _read(copy: Callable[[Any], Any], container: Any) -> Any:
    """Copy a container; other threads may change it meanwhile, which makes some iterators raise."""
    if type(container) is dict or type(container) is list:
        return copy(container)  # in one step
    for _ in range(_READS_OF_WHAT_CHANGES):
        try:
            return copy(container)
        except (RuntimeError, LookupError) as error:  # noqa: PERF203 - twenty rounds at most
            failed = error
    if isinstance(failed, RuntimeError):
        raise InvalidValueError(
            f"a {type(container).__name__} can't be read: it raised RuntimeError each time; "
            "if other threads change it, log a copy of it"
        ) from failed
    raise failed


def isoformat(moment: datetime) -> str | None:
    """RFC 3339 of a datetime. A naive one means UTC, and the first one warns."""
    global _warned_about_naive_datetime
    if moment != moment:  # noqa: PLR0124 - pandas.NaT is a datetime, and unequal to itself
        return None
    if moment.tzinfo is None or moment.utcoffset() is None:
        if not _warned_about_naive_datetime:
            _warned_about_naive_datetime = True
            _log.warning(
                "a datetime without a time zone was taken as UTC; "
                "give aware datetimes, like datetime.now(timezone.utc) (said once)"
            )
        moment = moment.replace(tzinfo=timezone.utc)
    offset = moment.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        # Local mean times have offsets to the second, which the server can't parse.
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat()


def utc_milliseconds(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond, of seconds since the epoch."""
    return millisecond_of(seconds)[1]


def millisecond_of(seconds: float) -> tuple[float, str]:
    """A time's millisecond: the first time that has the same text, and that text."""
    whole = int(seconds * 1000 + _MICROSECOND_ROUNDING)
    second, rest = divmod(whole, 1000)
    return (whole - _MICROSECOND_ROUNDING) / 1000, f"{_text_of(second)}.{rest:03d}Z"


@lru_cache(maxsize=8)
def _text_of(second: int) -> str:
    """Kept, which saves 2 us: below 1,000 events a second, each is in another millisecond."""
    return datetime.fromtimestamp(second, timezone.utc).isoformat()[: -len("+00:00")]


def _public_fields(value: object, names: list[str]) -> dict[str, object]:
    """Public fields with their values; a slot that is not set is left out."""
    public = [name for name in names if not name.startswith("_")]
    return {name: getattr(value, name) for name in public if hasattr(value, name)}


def _text_of_bytes(value: bytes | bytearray | memoryview) -> str:
    raw = bytes(value)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        from binascii import b2a_base64  # noqa: PLC0415 - seldom needed

        return b2a_base64(raw, newline=False).decode()


def _number_of_decimal(value: Decimal) -> float | str | None:
    if not value.is_finite():
        return None
    number = value.__float__()
    if len(value.as_tuple().digits) <= _DECIMAL_DIGITS_OF_A_FLOAT and math.isfinite(number):
        return number
    return str(value)


def _list_of(value: Any) -> list[object]:
    items: list[object] = _read(list, value)
    return items


def _list_of_set(value: AbstractSet[object]) -> list[object]:
    items: list[Any] = _list_of(value)
    try:
        return sorted(items)
    except TypeError:
        return items


def _of_tuple(value: Any) -> object:
    names = getattr(value, "_fields", None)  # of a namedtuple
    return list(value) if names is None else dict(zip(names, value, strict=False))


def _of_text(value: Any) -> str:
    # Of a subclass the text itself, whatever it prints.
    return str.__str__(value) if issubclass(type(value), str) else str(value)


_CONVERTERS: dict[type, Callable[[Any], object]] = {
    str: _of_text,
    bool: bool,
    int: lambda value: int(value.__int__()),
    float: lambda value: float(value.__float__()),
    type(None): lambda _: None,
    dict: entries_of,
    list: _list_of,
    tuple: _of_tuple,
    deque: _list_of,
    set: _list_of_set,
    frozenset: _list_of_set,
    datetime: isoformat,
    date: methodcaller("isoformat"),
    time: methodcaller("isoformat"),
    timedelta: methodcaller("total_seconds"),
    Decimal: _number_of_decimal,
    UUID: str,
    bytes: _text_of_bytes,
    bytearray: _text_of_bytes,
    memoryview: _text_of_bytes,
    orjson.Fragment: lambda value: orjson.loads(orjson.dumps(value)),
}
"""Converters by type. Subclasses and stand-ins get them, too: so they go by attributes."""


def _convert_by_kind(value: Any) -> object:  # noqa: C901, PLR0911, PLR0912 - one test a kind
    cls = value.__class__
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if issubclass(cls, Enum):
        return value.value
    for base in cls.__mro__:
        convert = _CONVERTERS.get(base)
        if convert:
            return convert(value)
    if dataclasses.is_dataclass(cls):
        return _public_fields(value, [field.name for field in dataclasses.fields(cls)])
    if issubclass(cls, PathLike):
        return str(value)
    if issubclass(cls, BaseException):
        return f"{cls.__name__}: {value}"
    if hasattr(cls, "__attrs_attrs__"):
        return _public_fields(value, [attribute.name for attribute in cls.__attrs_attrs__])
    if hasattr(cls, "model_dump"):  # pydantic 2
        # Not in its mode "json", which makes text of numbers and durations: a model's fields are
        # to be what they are outside of it.
        return value.model_dump()
    if issubclass(cls, Mapping):
        return entries_of(value)
    if issubclass(cls, AbstractSet):
        return _list_of_set(value)
    if issubclass(cls, UserString):
        return value.data
    if hasattr(cls, "tolist"):
        return _list_of_array(value, cls)
    if issubclass(cls, (Sequence, ValuesView)):
        return _list_of(value)
    return _text_of_object(value, cls)


def _list_of_array(value: Any, cls: Any) -> object:
    """A plain list, or number, of what numpy, pandas and their like have."""
    if cls.__module__.partition(".")[0] != "numpy":
        return value.tolist()
    unit = value.dtype.str[1:]
    # Finer than microseconds, numpy's own conversion would give bare numbers.
    coarser = _NUMPY_TIMES[unit[:2]] if unit[2:] in _FINER_THAN_MICROSECONDS else None
    plain = (value.astype(coarser) if coarser else value).tolist()
    # numpy.longdouble has no plain form and answers with itself.
    return float(plain) if type(plain) is cls else plain


def _text_of_object(value: Any, cls: type) -> object:
    if _comes_from("django.db.models.query", cls):
        # Its text, like all else of it, would ask the database.
        text = f"<{cls.__name__}: not evaluated>"
    elif _comes_from("pandas", cls) and hasattr(cls, "to_dict"):  # a DataFrame
        return value.to_dict("records")
    elif _comes_from("pandas", cls) and cls.__name__ == "NAType":
        return None
    else:
        text = str(value)
    if is_of_no_use(text):
        _tell_of_type(cls)
    return text


def _comes_from(module: str, cls: type) -> bool:
    return any(f"{base.__module__}.".startswith(f"{module}.") for base in cls.__mro__)


_OF_NO_USE = re.compile(r" at 0x[0-9A-Fa-f]{6,}>|^<\w+: not evaluated>$")

is_of_no_use = _OF_NO_USE.search
"""Tells if a text is a bare object's: its address differs each time, and tells nothing."""


def _tell_of_type(cls: type) -> None:
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name not in _told_types and len(_told_types) < _MOST_TYPES_TOLD:
        _told_types.add(name)
        _log.warning(
            "a value of an event is a %s, which has no text of its own; give what is in it, or "
            "give its class a __str__ (said once a type)",
            name,
        )


def _exact(number: int, limit: int | None = _MAX_EXACT_INTEGER) -> int | str:
    if limit is not None and abs(number) <= limit:
        return number
    try:
        return str(number)
    except ValueError:  # over sys.get_int_max_str_digits()
        return hex(number)


def key_of(key: object) -> str:
    """A key as text: as JSON writes it if JSON has such a value, else as Python does."""
    if isinstance(key, Enum):
        key = key.value
    key = actual(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return str(_exact(int(key), limit=None))
    if not isinstance(key, (str, float)):
        key = jsonable(key)
    try:
        return _valid_text(str.__str__(key) if isinstance(key, str) else str(key))
    except Exception:  # noqa: BLE001 - a __repr__ within may raise anything
        return f"<{type(key).__qualname__}>"


def _valid_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # By way of UTF-16, so that two halves that belong together are joined.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
