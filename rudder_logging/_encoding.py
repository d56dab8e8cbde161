"""Any Python value as JSON that the gateway takes: one orjson pass, a slower walk when it balks.

The rules (DESIGN: values; the gateway's own: it turns every number into a float64, refuses NaN,
and loses deeply nested events after a 200):

- NaN and infinities become null; integers beyond 2^53 become strings.
- Lone surrogates become U+FFFD; keys become strings.
- Over 100 levels of nesting, which is where every cycle ends up, the event is refused; so it is
  with more values than any upload has room for.
- Types that JSON lacks are converted by `jsonable`; what nobody knows becomes its `repr`.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from os import PathLike
from typing import Any
from uuid import UUID

import orjson

from .exceptions import InvalidValueError

__all__ = [
    "JSON_OPTIONS",
    "MAX_DEPTH",
    "MAX_VALUES",
    "are_atoms",
    "dumps",
    "first_of_millisecond",
    "isoformat",
    "jsonable",
    "room_behind",
    "utc_milliseconds",
]

MAX_DEPTH = 100
"""Levels of nesting that a message may have. The server loses an event at 9,998 and gets slow
long before; orjson stops at 254."""

MAX_VALUES = 4_096_000 // 8
"""The gateway takes so many bytes in one upload; a value has about eight, with key and comma.
Lists that hold each other several times may stand for far more, and would take for ever."""

_MAX_EXACT_INTEGER = 2**53
JSON_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME
_DECIMAL_DIGITS_OF_A_FLOAT = 15
_MICROSECOND_ROUNDING = 0.0005  # milliseconds: to the microsecond first, as datetime does it
_NUMPY_TIMES = {"M8": "datetime64[us]", "m8": "timedelta64[us]"}
_FINER_THAN_MICROSECONDS = frozenset({"[ns]", "[ps]", "[fs]", "[as]"})

_log = logging.getLogger("rudder_logging")
_warned_about_naive_datetime = False


def dumps(message: dict[str, Any]) -> bytes:
    """Serialise a message to UTF-8 JSON, without changing it.

    Raises:
        InvalidValueError: It is nested over `MAX_DEPTH` levels, or contains itself, or has over
            half a million values.
    """
    try:
        if room_behind(message, 1, MAX_VALUES) >= 0:
            return orjson.dumps(message, jsonable, JSON_OPTIONS)
    except (TypeError, ValueError, RuntimeError):
        # Big integers, keys that are not strings, lone surrogates, a dict that another thread
        # changes: rare, and worth a slower pass that repairs.
        pass
    return orjson.dumps(_plain(message, 0, [MAX_VALUES]))


def room_behind(container: Any, depth: int, room: int) -> int:
    """How many more values there is room for behind a container; less than 0: `_plain` is to see.

    The latter if there are too many, or if orjson can't be trusted with it: it crashes the process
    over a cycle that goes through tuples, over some thousand levels of them, and over a dataclass
    with slots of which one is not set (seen with 3.12 and 3.13). So it gets plain containers, not
    too deep, of plain values.
    """
    room -= len(container)
    items = container.values() if type(container) is dict else container
    for item in items:
        if type(item) in _ATOMS:
            continue
        if depth >= MAX_DEPTH or type(item) not in _CONTAINERS:
            return -1
        room = room_behind(item, depth + 1, room)
        if room < 0:
            return room
    return room if depth <= MAX_DEPTH else -1


def jsonable(value: object) -> object:
    """One step from a value that orjson does not know towards one that it does."""
    convert = _CONVERTERS.get(type(value))
    try:
        return convert(value) if convert else _convert_by_kind(value)
    except Exception:  # noqa: BLE001 - a __repr__ or property of the app's may raise anything
        return f"<{type(value).__qualname__}>"


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
    second, rest = divmod(_whole_milliseconds(seconds), 1000)
    text = datetime.fromtimestamp(second, timezone.utc).isoformat()[: -len("+00:00")]
    return f"{text}.{rest:03d}Z"


def first_of_millisecond(seconds: float) -> float:
    """From when on `utc_milliseconds` has been saying what it says of that time."""
    return (_whole_milliseconds(seconds) - _MICROSECOND_ROUNDING) / 1000


def _whole_milliseconds(seconds: float) -> int:
    return int(seconds * 1000 + _MICROSECOND_ROUNDING)


def _public_fields(value: object, names: list[str]) -> dict[str, object]:
    """Those that are set: a slot may not be."""
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
    if len(value.as_tuple().digits) <= _DECIMAL_DIGITS_OF_A_FLOAT and math.isfinite(float(value)):
        return float(value)
    return str(value)


def _list_of_set(value: AbstractSet[object]) -> list[object]:
    try:
        return sorted(value)  # type: ignore[type-var]
    except TypeError:
        return list(value)


_ATOMS = frozenset(
    {str, int, float, bool, type(None), datetime, date, time, timedelta, Decimal, UUID, bytes}
)
_CONTAINERS = frozenset({dict, list, tuple})

are_atoms = _ATOMS.issuperset
"""Whether types are all of values that orjson, or `jsonable`, takes without a look inside."""

_CONVERTERS: dict[type, Callable[[Any], object]] = {
    datetime: isoformat,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    Decimal: _number_of_decimal,
    tuple: list,
    deque: list,
    set: _list_of_set,
    frozenset: _list_of_set,
    bytes: _text_of_bytes,
    bytearray: _text_of_bytes,
    memoryview: _text_of_bytes,
}


def _convert_by_kind(value: Any) -> object:  # noqa: C901, PLR0911, PLR0912 - one test a kind
    cls = type(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return _public_fields(value, [field.name for field in dataclasses.fields(value)])
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return isoformat(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return _number_of_decimal(value)
    if isinstance(value, PathLike):
        return str(value)
    if isinstance(value, BaseException):
        return f"{cls.__name__}: {value}"
    if cls.__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        unit = value.dtype.str[1:]
        # Finer than microseconds, numpy's own conversion would give bare numbers.
        coarser = _NUMPY_TIMES[unit[:2]] if unit[2:] in _FINER_THAN_MICROSECONDS else None
        plain = (value.astype(coarser) if coarser else value).tolist()
        # numpy.longdouble has no plain form and answers with itself.
        return float(plain) if type(plain) is cls else plain
    if isinstance(value, float):
        return float(value)
    if hasattr(cls, "__attrs_attrs__"):
        return _public_fields(value, [attribute.name for attribute in cls.__attrs_attrs__])
    if hasattr(cls, "model_dump"):  # pydantic 2
        return value.model_dump()
    if isinstance(value, tuple) and hasattr(cls, "_fields"):  # a namedtuple
        return dict(zip(cls._fields, value, strict=False))
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return _list_of_set(value)
    if isinstance(value, Sequence):
        return list(value)
    return repr(value)


def _plain(value: object, depth: int, room: list[int]) -> object:
    """A copy made of what every JSON library takes, with the module's rules applied.

    Args:
        value: Anything.
        depth: Containers around it.
        room: How many values it may still have, in a list to be counted down.
    """
    for _ in range(MAX_DEPTH):  # conversions of one value, which have to end somewhere
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            value = value.value
        elif isinstance(value, str):
            return _valid_text(str.__str__(value))
        elif isinstance(value, int):
            return _exact(int(value))
        elif type(value) is float:
            return value if math.isfinite(value) else None
        elif isinstance(value, (dict, list)):
            if depth == MAX_DEPTH:
                break
            room[0] -= len(value)
            if room[0] < 0:
                raise InvalidValueError(
                    f"the event has over {MAX_VALUES:,} values; send fewer with it "
                    "(do lists or dicts hold each other several times?)"
                )
            if isinstance(value, dict):
                return {
                    _key(key): _plain(item, depth + 1, room) for key, item in list(value.items())
                }
            return [_plain(item, depth + 1, room) for item in list(value)]
        else:
            value = jsonable(value)
    raise InvalidValueError(
        f"the event is nested over {MAX_DEPTH} levels, or contains itself; flatten it"
    )


def _exact(number: int, limit: int | None = _MAX_EXACT_INTEGER) -> int | str:
    if limit is not None and abs(number) <= limit:
        return number
    try:
        return str(number)
    except ValueError:  # over sys.get_int_max_str_digits()
        return hex(number)


def _key(key: object) -> str:
    """A key as text: as JSON writes it if JSON has it, else as Python does."""
    if isinstance(key, Enum):
        key = key.value
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
