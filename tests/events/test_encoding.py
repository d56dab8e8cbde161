"""Values of every type that a Python app has, as JSON that the gateway takes."""

from __future__ import annotations

import array
import copy
import json
import logging
import math
import subprocess
import sys
import textwrap
import types
import uuid
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from fractions import Fraction
from functools import cached_property
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import arrow
import attrs
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pydantic
import pytest
import starlette.datastructures
import yarl
from bson import ObjectId
from django.conf import settings as django_settings
from django.db import models
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from rudder_logging.events.encoding import MAX_DEPTH, dumps, isoformat, utc_milliseconds
from rudder_logging.exceptions import InvalidValueError

from ..each import each

if not django_settings.configured:
    django_settings.configure(USE_I18N=False)

UTC = timezone.utc
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
BIG = 2**60
"""Beside a value, it forces the slow path."""


class Colour(Enum):
    """Members of all kinds."""

    RED = "red"
    PAIR = (1, 2)
    NAN = math.nan
    BIG = 2**60
    WHEN = NOON
    INNER = {"a": (1,)}  # noqa: RUF012 - a member, not a default


class Text(str, Enum):
    """Members that are text."""

    READ = "Article Read"


class Level(IntEnum):
    """Members that are integers."""

    HIGH = 3


class Bits(Flag):
    """Members that combine."""

    A = 1
    B = 2


class Point(NamedTuple):
    """A namedtuple by class."""

    x: int
    y: Any


Pair = namedtuple("Pair", ["left", "right"])  # noqa: PYI024 - the older form is a form, too


@dataclass
class Data:
    """A dataclass, with a private field."""

    a: Any
    b: list[Any] = field(default_factory=list)
    _private: int = 0


@dataclass
class Box:
    """A dataclass of one field."""

    v: Any


@dataclass(frozen=True)
class Slotted:
    """A dataclass without a `__dict__`."""

    __slots__ = ("a", "when")
    a: int
    when: datetime


@dataclass
class Unset:
    """A dataclass with a field that nobody has set yet."""

    a: int
    later: int = field(init=False)


@dataclass
class Cached:
    """A dataclass whose instances have more than its fields."""

    a: int

    def __post_init__(self) -> None:
        self.extra = "not a field"

    @cached_property
    def double(self) -> int:
        """Stored beside the fields, once it was asked for."""
        return self.a * 2


@dataclass
class Failure(Exception):  # noqa: N818 - it is a dataclass first
    """An exception that is a dataclass."""

    code: int


@attrs.define
class Attrs:
    """An attrs class with slots, and a private attribute."""

    a: Any
    _private: int = 0


@attrs.frozen(slots=False)
class AttrsFrozen:
    """An attrs class without slots."""

    when: datetime


class Model(pydantic.BaseModel):
    """A pydantic model."""

    a: Any
    when: datetime = NOON


class Outer(pydantic.BaseModel):
    """A model of models."""

    inner: list[Model]


class Plain:
    """A class of an app's that says nothing about JSON."""

    def __repr__(self) -> str:
        return "<plain>"


class Raising:
    """A class whose repr fails, as an ORM's does on a closed session."""

    def __repr__(self) -> str:
        raise RuntimeError("session is closed")


class RaisingMapping(Mapping[str, int]):
    """A mapping whose items can't be had."""

    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise OSError("gone")

    def __len__(self) -> int:
        return 1


class MyText(str):
    """A subclass of str that shows itself differently."""

    __slots__ = ()

    def __str__(self) -> str:
        return "shown"


class MyInt(int):
    """A subclass of int."""


class MyFloat(float):
    """A subclass of float."""


class MyDict(dict[str, Any]):
    """A subclass of dict."""


class MyList(list[Any]):
    """A subclass of list."""


class MyDatetime(datetime):
    """A subclass of datetime, as pd.Timestamp is."""


class NotATime(datetime):
    """As pd.NaT: a datetime that equals nothing."""

    __hash__ = datetime.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True


class Wrong:
    """Namespace for a nested class."""

    class Inner:
        """Known by its qualified name."""


VALUES: list[tuple[Any, str]] = [
    # What JSON has
    (None, "null"),
    (True, "true"),
    (False, "false"),
    ("text", '"text"'),
    ("", '""'),
    ("\u00fc \U0001f600 \u2028", '"\u00fc \U0001f600 \u2028"'),
    ('"\\\n\x00', r'"\"\\\n\u0000"'),
    ([], "[]"),
    ({}, "{}"),
    ([1, [2, {"a": None}]], '[1,[2,{"a":null}]]'),
    (MyText("text"), '"text"'),
    (MyInt(5), "5"),
    (MyFloat(1.5), "1.5"),
    (MyDict(a=1), '{"a":1}'),
    (MyList([1]), "[1]"),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (defaultdict(int, a=1), '{"a":1}'),
    (Counter("aab"), '{"a":2,"b":1}'),
    # Numbers: the server makes each a float64
    (0, "0"),
    (-7, "-7"),
    (2**53 - 1, "9007199254740991"),
    (2**53, "9007199254740992"),
    (2**53 + 1, '"9007199254740993"'),
    (-(2**53) + 1, "-9007199254740991"),
    (-(2**53), "-9007199254740992"),
    (-(2**53) - 1, '"-9007199254740993"'),
    (2**63, '"9223372036854775808"'),
    (2**64, '"18446744073709551616"'),
    (10**309, f'"1{"0" * 309}"'),
    (-(10**309), f'"-1{"0" * 309}"'),
    (MyInt(2**60), '"1152921504606846976"'),
    (1.0, "1.0"),
    (0.1, "0.1"),
    (-0.5, "-0.5"),
    (math.nan, "null"),
    (math.inf, "null"),
    (-math.inf, "null"),
    (MyFloat("nan"), "null"),
    (Decimal("1.10"), "1.1"),
    (Decimal(3), "3.0"),
    (Decimal("0.123456789012345"), "0.123456789012345"),
    (Decimal("0.1234567890123456789"), '"0.1234567890123456789"'),
    (Decimal(9007199254740993), '"9007199254740993"'),
    (Decimal("1e400"), '"1E+400"'),
    (Decimal("NaN"), "null"),
    (Decimal("sNaN"), "null"),
    (Decimal("-Infinity"), "null"),
    (Fraction(1, 3), '"1/3"'),
    (1 + 2j, '"(1+2j)"'),
    # Times
    (NOON, '"2026-01-31T12:00:00+00:00"'),
    (NOON.replace(microsecond=5), '"2026-01-31T12:00:00.000005+00:00"'),
    (NOON.astimezone(timezone(timedelta(hours=-7))), '"2026-01-31T05:00:00-07:00"'),
    (datetime(2026, 1, 31, 12), '"2026-01-31T12:00:00+00:00"'),  # noqa: DTZ001 - the case
    (MyDatetime(2026, 1, 31, 12, tzinfo=UTC), '"2026-01-31T12:00:00+00:00"'),
    (NotATime(2026, 1, 31), "null"),
    (date(2026, 1, 31), '"2026-01-31"'),
    (time(12, 30), '"12:30:00"'),
    (time(12, 30, tzinfo=UTC), '"12:30:00+00:00"'),
    (timedelta(days=1, milliseconds=500), "86400.5"),
    (timedelta(seconds=-1), "-1.0"),
    # Enums, ids, paths, bytes
    (Colour.RED, '"red"'),
    (Colour.PAIR, "[1,2]"),
    (Colour.NAN, "null"),
    (Colour.BIG, '"1152921504606846976"'),
    (Colour.WHEN, '"2026-01-31T12:00:00+00:00"'),
    (Colour.INNER, '{"a":[1]}'),
    (Text.READ, '"Article Read"'),
    (Level.HIGH, "3"),
    (Bits.A | Bits.B, "3"),
    (UUID, '"12345678-1234-5678-1234-567812345678"'),
    (PurePosixPath("/var/log"), '"/var/log"'),
    (PureWindowsPath(r"C:\logs"), r'"C:\\logs"'),
    (b"\xc3\xbc", '"\u00fc"'),
    (bytearray(b"text"), '"text"'),
    (memoryview(b"text"), '"text"'),
    (b"\xff\xfe", '"//4="'),
    (bytearray(b"\xff"), '"/w=="'),
    (b"", '""'),
    # Containers
    ((1, (2,)), "[1,[2]]"),
    (deque([1, 2]), "[1,2]"),
    (range(3), "[0,1,2]"),
    (UserList([1]), "[1]"),
    ({3, 1, 2}, "[1,2,3]"),
    (frozenset({"b", "a"}), '["a","b"]'),
    (set(), "[]"),
    ({1: 2}.keys(), "[1]"),
    (UserDict({"a": 1}), '{"a":1}'),
    (types.MappingProxyType({"a": (1,)}), '{"a":[1]}'),
    (Point(1, NOON), '{"x":1,"y":"2026-01-31T12:00:00+00:00"}'),
    (Pair(1, {2}), '{"left":1,"right":[2]}'),
    (Data(1), '{"a":1,"b":[]}'),
    (Data(Data({1}), [math.nan]), '{"a":{"a":[1],"b":[]},"b":[null]}'),
    (Slotted(1, NOON), '{"a":1,"when":"2026-01-31T12:00:00+00:00"}'),
    (Unset(1), '{"a":1}'),
    (Failure(5), '{"code":5}'),
    (Attrs((1,)), '{"a":[1]}'),
    (AttrsFrozen(NOON), '{"when":"2026-01-31T12:00:00+00:00"}'),
    (Model(a={1}), '{"a":[1],"when":"2026-01-31T12:00:00+00:00"}'),
    (Outer(inner=[Model(a=1)]), '{"inner":[{"a":1,"when":"2026-01-31T12:00:00+00:00"}]}'),
    # numpy
    (np.int64(5), "5"),
    (np.int64(2**53 + 1), '"9007199254740993"'),
    (np.uint64(2**64 - 1), '"18446744073709551615"'),
    (np.int8(-5), "-5"),
    (np.float64(1.5), "1.5"),
    (np.float64("nan"), "null"),
    (np.float32(0.5), "0.5"),
    (np.float16("inf"), "null"),
    (np.longdouble(1.5), "1.5"),
    (np.longdouble("nan"), "null"),
    (np.bool_(True), "true"),
    (np.str_("text"), '"text"'),
    (np.bytes_(b"text"), '"text"'),
    (np.complex128(1 + 2j), '"(1+2j)"'),
    (np.array([1, 2]), "[1,2]"),
    (np.array([[1.5, math.nan]]), "[[1.5,null]]"),
    (np.array(5), "5"),
    (np.array([], dtype=float), "[]"),
    (np.array([1.5], dtype=np.longdouble), "[1.5]"),
    (np.array([2**53 + 1]), '["9007199254740993"]'),
    (np.array([{1}, None], dtype=object), "[[1],null]"),
    (np.array(["2026-01-31"], dtype="datetime64[D]"), '["2026-01-31"]'),
    (np.datetime64("2026-01-31"), '"2026-01-31"'),
    (np.datetime64("2026-01-31T12:00:00"), '"2026-01-31T12:00:00+00:00"'),
    (np.datetime64("2026-01-31T12:00:00.5", "ms"), '"2026-01-31T12:00:00.500000+00:00"'),
    (np.datetime64("NaT", "s"), "null"),
    (np.timedelta64(5, "s"), "5.0"),
    # Exceptions, types, and the rest
    (ValueError("bad value"), '"ValueError: bad value"'),
    (KeyError("k"), "\"KeyError: 'k'\""),
    (KeyboardInterrupt(), '"KeyboardInterrupt: "'),
    (int, '"builtins.int"'),
    (ValueError, '"builtins.ValueError"'),
    (Wrong.Inner, f'"{__name__}.Wrong.Inner"'),
    (Colour, f'"{__name__}.Colour"'),
    (Data, f'"{__name__}.Data"'),
    (Model, f'"{__name__}.Model"'),
    (len, '"<built-in function len>"'),
    (..., '"Ellipsis"'),
    (Plain(), '"<plain>"'),
    (Raising(), '"<Raising>"'),
    (ValueError(Raising()), '"<ValueError>"'),
    (RaisingMapping(), '"<RaisingMapping>"'),
    ([Raising(), 1], '["<Raising>",1]'),
]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning about naive datetimes was said."""
    monkeypatch.setattr("rudder_logging.events.encoding._warned_about_naive_datetime", True)


def strictly(raw: bytes) -> Any:
    """Parse JSON that has neither NaN nor a key twice in one object."""

    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        assert len(made) == len(pairs), f"a key came twice: {pairs}"
        return made

    return json.loads(raw, parse_constant=refuse, object_pairs_hook=unique)


# --- Values ---


@each(("value", "text"), VALUES)
def test_values(value: object, text: str) -> None:
    """Each type has its JSON; the fast path and the slow one agree on it."""
    assert dumps({"v": value}).decode() == f'{{"v":{text}}}'
    assert dumps({"v": value, "big": BIG}).decode() == f'{{"v":{text},"big":"{BIG}"}}'


@each(("value", "text"), VALUES)
def test_values_within_values(value: object, text: str) -> None:
    """It is the same within lists, dicts, tuples and dataclasses."""
    message = {"list": [value], "dict": {"k": value}, "tuple": (value,), "data": Data(value)}
    expected = (
        f'"list":[{text}],"dict":{{"k":{text}}},"tuple":[{text}],"data":{{"a":{text},"b":[]}}'
    )
    assert dumps(message).decode() == f"{{{expected}}}"
    assert dumps({**message, "big": BIG}).decode() == f'{{{expected},"big":"{BIG}"}}'


def test_fine_datetime64_is_a_time() -> None:
    """Numpy's own answer is a bare integer for units finer than a datetime's; pandas uses such."""
    value = np.datetime64("2026-01-31T12:00:00", "s").astype("datetime64[ns]")
    for message in ({"v": value}, {"v": np.array([value])}, {"v": value, "big": BIG}):
        assert "2026-01-31T12:00:00" in str(strictly(dumps(message))["v"])


def test_fine_timedelta64_is_seconds() -> None:
    """As any other duration; numpy's own answer for nanoseconds is their bare number."""
    value = np.timedelta64(5, "s").astype("timedelta64[ns]")
    assert strictly(dumps({"v": value})) == {"v": 5.0}


@pytest.mark.parametrize("with_big", [False, True])
def test_a_dataclass_is_its_fields(with_big: bool) -> None:
    """Whatever else the instance holds, a cached property say, is not sent."""
    value = Cached(1)
    assert value.double == 2
    message = {"v": value, "big": BIG} if with_big else {"v": value}
    assert strictly(dumps(message))["v"] == {"a": 1}


@pytest.mark.parametrize("make", [set, frozenset])
def test_a_set_of_what_can_not_be_sorted(make: Callable[[Any], Any]) -> None:
    """Its members come in any order, and all of them come."""
    value = make([1, "a", None, (2, "b")])
    assert sorted(map(str, strictly(dumps({"v": value}))["v"])) == ["1", "None", "[2, 'b']", "a"]


def test_a_generator_is_not_consumed() -> None:
    """The app still needs it: iterators are shown by their repr."""
    items, lines = (n for n in range(3)), iter([1, 2])
    sent = strictly(dumps({"v": items, "w": lines, "m": map(str, [1])}))
    assert sent["v"].startswith("<generator object")
    assert list(items) == [0, 1, 2]
    assert list(lines) == [1, 2]


def test_an_integer_too_long_to_print_is_text() -> None:
    """Python refuses to print over 4,300 digits; such a number must not lose the event."""
    sent = strictly(dumps({"v": 10**5_000, "w": -(10**5_000)}))
    assert [int(text, 16) for text in sent.values()] == [10**5_000, -(10**5_000)]


@each(
    ("text", "sent"),
    [
        ("\ud800", "\ufffd"),
        ("a\ud800b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\U0001f600\ud800\u00fc", "\U0001f600\ufffd\u00fc"),
    ],
)
@each("wrap", [str, MyText, PurePosixPath, lambda t: [t], lambda t: {"k": t}, Data])
def test_lone_surrogates_are_replaced(wrap: Callable[[str], Any], text: str, sent: str) -> None:
    """Half a character can't be sent; two halves that belong together are joined."""
    raw = dumps({"v": wrap(text), text: 1})
    assert sent in json.dumps(strictly(raw)["v"], ensure_ascii=False)
    assert strictly(raw)[sent] == 1


# --- Keys ---


@each(
    ("key", "text"),
    [
        ("k", "k"),
        (MyText("k"), "k"),
        (np.str_("k"), "k"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (2**70, str(2**70)),
        (1.5, "1.5"),
        (math.nan, "nan"),
        (np.int64(7), "7"),
        (Decimal("1.5"), "1.5"),
        (UUID, str(UUID)),
        (NOON, "2026-01-31T12:00:00+00:00"),
        (date(2026, 1, 31), "2026-01-31"),
        (Colour.RED, "red"),
        (Text.READ, "Article Read"),
        (Level.HIGH, "3"),
        (b"k", "k"),
        (PurePosixPath("/k"), "/k"),
        (int, "builtins.int"),
        ((1, 2), "[1, 2]"),
        (frozenset({1}), "[1]"),
        (Plain(), "<plain>"),
        (Raising(), "<Raising>"),
    ],
)
def test_keys_become_text(key: Any, text: str) -> None:
    """Whatever can be a key, at any level."""
    assert strictly(dumps({"v": {key: {key: 1}}})) == {"v": {text: {text: 1}}}


@pytest.mark.parametrize(
    "key",
    [10**5_000, (Raising(), 1), frozenset({Raising()}), (10**5_000,), Point(1, Raising())],
    ids=["huge", "tuple", "frozenset", "tuple of huge", "namedtuple"],
)
def test_no_key_loses_the_event(key: Any) -> None:
    """Even one that can't be shown."""
    sent = strictly(dumps({"v": {key: 1}, "w": 2}))
    assert list(sent["v"].values()) == [1]
    assert sent["w"] == 2


def test_keys_that_become_the_same_come_once() -> None:
    """The gateway takes the first of two, this takes the last, so only one may be sent."""
    assert strictly(dumps({"v": {1: "a", "1": "b"}})) == {"v": {"1": "b"}}


# --- Depth ---


def nest(levels: int, wrap: Callable[[Any], Any]) -> Any:
    """A scalar in that many containers."""
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPS: dict[str, Callable[[Any], Any]] = {
    "dict": lambda v: {"k": v},
    "list": lambda v: [v],
    "tuple": lambda v: (v,),
    "int key": lambda v: {1: v},
    "proxy": lambda v: types.MappingProxyType({"k": v}),
    "UserDict": lambda v: UserDict({"k": v}),
    "deque": lambda v: deque([v]),
    "namedtuple": lambda v: Point(1, v),
    "dataclass": Box,
    "attrs": Attrs,
}


@each("beside", [None, BIG])
@each("wrap", WRAPS)
def test_a_hundred_levels_are_fine(wrap: str, beside: Any) -> None:
    """The message itself is the first."""
    assert MAX_DEPTH == 100
    assert strictly(dumps({"v": nest(99, WRAPS[wrap]), "beside": beside}))["v"]


@each("beside", [None, BIG])
@each("levels", [100, 101, 252, 300])
@each("wrap", WRAPS)
def test_deeper_is_refused(wrap: str, levels: int, beside: Any) -> None:
    """The server would answer 200 and lose the event, so it is refused with a cure."""
    with pytest.raises(InvalidValueError, match=r"nested over 100 levels.*flatten it"):
        dumps({"v": nest(levels, WRAPS[wrap]), "beside": beside})


def test_many_containers_are_not_deep() -> None:
    """Width is no fault, nor are brackets within text."""
    value = {str(n): [{"a": "[{[{" * 100}] for n in range(300)}
    assert strictly(dumps({"v": value})) == {"v": value}


def endless_list() -> object:
    """A list in itself."""
    value: list[Any] = []
    value.append(value)
    return value


def endless_dict() -> object:
    """A dict in itself, twice: a walk must not take every way through it."""
    value: dict[str, Any] = {}
    value.update(a=value, b=value)
    return value


def endless_dataclass() -> object:
    """A dataclass in itself."""
    value = Data(1)
    value.a = value
    return value


def endless_attrs() -> object:
    """An attrs object in itself."""
    value = Attrs(1)
    value.a = value
    return value


def endless_mapping() -> object:
    """A mapping that is no dict, in itself."""
    value: UserDict[str, Any] = UserDict()
    value["a"] = [value]
    return value


def endless_array() -> object:
    """A numpy array of objects in itself."""
    value = np.empty(1, dtype=object)
    value[0] = [value]
    return value


@pytest.mark.parametrize("beside", [None, BIG], ids=["fast", "slow"])
@pytest.mark.parametrize(
    "make",
    [endless_list, endless_dict, endless_dataclass, endless_attrs, endless_mapping, endless_array],
)
def test_what_contains_itself_is_refused(make: Callable[[], object], beside: Any) -> None:
    """Of whatever type; the app's process goes on."""
    with pytest.raises(InvalidValueError, match="contains itself"):
        dumps({"v": make(), "beside": beside})


CRASHES = {
    "a slot that is not set": (
        """
        @dataclass(slots=True)
        class Unset:
            a: int
            later: int = field(init=False)
        value = Unset(1)
        """,
        '{"v":{"a":1}}',
    ),
    "a tuple in the dict that it holds": ('value = {}; value["k"] = (value,)', "refused"),
    "a tuple in the list that it holds": ("value = []; value.append((value,))", "refused"),
    "two tuples in a cycle": ('value = {}; value["k"] = ((value,),)', "refused"),
    "a tuple in a dataclass's cycle": (
        """
        @dataclass
        class Box:
            v: object = None
        value = Box()
        value.v = (value,)
        """,
        "refused",
    ),
    "a cycle of tuples behind a mapping": (
        'value = {}; value["k"] = (value,); value = UserDict(value)',
        "refused",
    ),
    "a cycle of tuples in a namedtuple": (
        'inner = {}; inner["k"] = (inner,); value = namedtuple("T", "a")(inner)',
        "refused",
    ),
    "2,000 tuples": ("value = 1\nfor _ in range(2_000): value = (value,)", "refused"),
    "5,000 tuples": ("value = 1\nfor _ in range(5_000): value = (value,)", "refused"),
    "200,000 tuples": ("value = 1\nfor _ in range(200_000): value = (value,)", "refused"),
    "200,000 lists": ("value = 1\nfor _ in range(200_000): value = [value]", "refused"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("code", "result"), CRASHES.values(), ids=CRASHES)
def test_nothing_ends_the_process(code: str, result: str) -> None:
    """Orjson (3.12 and 3.13 with tuples, all with slots) crashes Python over some of these."""
    program = f"""
import os
from collections import UserDict, namedtuple
from dataclasses import dataclass, field
from rudder_logging.events.encoding import dumps
from rudder_logging.exceptions import InvalidValueError
{textwrap.dedent(code)}
try:
    print(dumps({{"v": value}}).decode(), flush=True)
except InvalidValueError:
    print("refused", flush=True)
os._exit(0)  # freeing 200,000 levels is the interpreter's own concern
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, f"{result}\n"), done.stderr


def test_one_value_in_two_places_is_no_cycle() -> None:
    """It is sent twice."""
    shared = {"a": [1]}
    assert strictly(dumps({"v": shared, "w": [shared, shared]})) == {
        "v": shared,
        "w": [shared, shared],
    }


@pytest.mark.slow
@pytest.mark.parametrize("beside", [1, BIG, {1, 2}], ids=["fast", "big integer", "slow"])
@pytest.mark.parametrize(
    "twice",
    [lambda v: [v, v], lambda v: (v, v), lambda v: {"a": v, "b": v}, lambda v: [v] * 1_000],
    ids=["list", "tuple", "dict", "wide"],
)
def test_containers_that_hold_each_other_several_times_end_soon(
    beside: object, twice: Callable[[object], object]
) -> None:
    """Sixty levels of them stand for 2^60 values: refused, before that keeps the app busy."""
    value = beside
    for _ in range(60):
        value = twice(value)
    with pytest.raises(InvalidValueError, match="over 512,000 values; send fewer"):
        dumps({"v": value})


@pytest.mark.parametrize("beside", [1, {1}], ids=["fast", "slow"])
def test_as_many_values_as_an_upload_may_have(beside: object) -> None:
    """The bound refuses nothing that could be sent, and one value more is refused."""
    many = [1] * 511_000
    assert len(dumps({"v": many, "beside": beside})) > 1_000_000
    with pytest.raises(InvalidValueError, match="over 512,000 values"):
        dumps({"v": many, "w": [1] * 1_000, "beside": beside})


# --- Values that are what their text says ---


class Bare:
    """Nothing to be known by."""


class Size(models.TextChoices):  # type: ignore[misc]
    """Choices with labels that are translated when they are shown."""

    BIG = "b", gettext_lazy("Big one")


OF_LIBRARIES: list[tuple[Any, Any]] = [
    (ip_address("192.0.2.1"), "192.0.2.1"),
    (ip_network("192.0.2.0/24"), "192.0.2.0/24"),
    (ZoneInfo("Europe/Berlin"), "Europe/Berlin"),
    (ObjectId("65b1f0c2a3d4e5f601234567"), "65b1f0c2a3d4e5f601234567"),
    (Fraction(1, 3), "1/3"),
    (arrow.get(2026, 1, 31), "2026-01-31T00:00:00+00:00"),
    (yarl.URL("https://x.test/a?b=1"), "https://x.test/a?b=1"),
    (starlette.datastructures.URL("https://x.test/a"), "https://x.test/a"),
    (pydantic.AnyUrl("https://x.test/a"), "https://x.test/a"),
    (gettext_lazy("Hello"), "Hello"),
    (Size.BIG, "b"),
    (Size.labels[0], "Big one"),
    (Size.choices, [["b", "Big one"]]),
    (array.array("d", [1.5]), [1.5]),
    ({"a": 1}.values(), [1]),
    (pd.NA, None),
    (pd.NaT, None),
    (pd.Timestamp("2026-01-31T12:00Z"), "2026-01-31T12:00:00+00:00"),
    (pd.Timedelta(seconds=5), 5.0),
    (pd.Period("2026-01", "M"), "2026-01"),
    (pd.Interval(0, 1), "(0, 1]"),
    (pd.Series([1.5, None]), [1.5, None]),
    (pd.Series(["a", pd.NA], dtype="string"), ["a", None]),
    (pd.Index([1, 2]), [1, 2]),
    (pd.DatetimeIndex(["2026-01-31T12:00Z"]), ["2026-01-31T12:00:00+00:00"]),
    (pd.Categorical(["a", "b"]), ["a", "b"]),
    (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
]


@each(("value", "sent"), OF_LIBRARIES)
def test_values_of_libraries(value: object, sent: object) -> None:
    """Each is what its library prints of it, or the list that it is: not its Python code."""
    assert json.loads(dumps({"v": value, "in": [value]})) == {"v": sent, "in": [sent]}


def test_a_model_is_its_fields() -> None:
    """With URLs and addresses as text, and numbers as numbers."""
    model = pydantic.create_model(
        "Visit", url=(pydantic.HttpUrl, ...), ip=(IPv4Address, ...), price=(Decimal, ...)
    )
    visit = model(url="https://x.test/a", ip="192.0.2.1", price="1.5")
    assert json.loads(dumps({"v": visit}))["v"] == {
        "url": "https://x.test/a",
        "ip": "192.0.2.1",
        "price": 1.5,
    }


def test_a_bare_object_is_told_once_a_type(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address differs each time, and tells nothing; an object with a text tells no address."""
    monkeypatch.setattr("rudder_logging.events.encoding._told_types", set())
    with caplog.at_level(logging.WARNING, logger="rudder_logging"):
        for value in (Bare(), Bare(), lambda: 1, Plain(), [Bare()]):
            dumps({"v": value})
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert f"a value of an event is a {__name__}.Bare, which has no text" in told[0]
    assert "builtins.function" in told[1]
    assert "0x" not in caplog.text


def test_a_query_set_is_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging an event asks no database: there is none here, and the event is sent."""
    from django.db.models.query import (
        QuerySet,
    )

    def ask(_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(QuerySet, "_fetch_all", ask)
    query: Any = QuerySet()
    for value in (query, SimpleLazyObject(lambda: query)):
        assert json.loads(dumps({"v": value})) == {"v": "<QuerySet: not evaluated>"}


# --- Times ---


def test_a_naive_datetime_warns_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is taken for UTC, and the package's own logger says so, once in a process."""
    monkeypatch.setattr("rudder_logging.events.encoding._warned_about_naive_datetime", False)
    aware, naive = NOON, NOON.replace(tzinfo=None)
    with caplog.at_level(logging.WARNING):
        dumps({"v": aware, "d": date(2026, 1, 31), "t": time(12)})
        assert not caplog.records
        for _ in range(3):
            assert strictly(dumps({"v": [naive, naive]}))["v"] == ["2026-01-31T12:00:00+00:00"] * 2
    (record,) = caplog.records
    assert record.name == "rudder_logging"
    assert record.levelno == logging.WARNING
    assert "taken as UTC" in record.getMessage()
    assert "datetime.now(timezone.utc)" in record.getMessage()


@given(st.datetimes(), st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
@settings(database=None, deadline=None)
def test_isoformat_keeps_the_moment(naive: datetime, offset: timedelta) -> None:
    """Whatever its zone."""
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset // timedelta(minutes=1))))
    assert datetime.fromisoformat(str(isoformat(moment))) == moment


@given(st.floats(0, 4e9))
@settings(database=None, deadline=None)
def test_utc_milliseconds_is_within_a_millisecond(seconds: float) -> None:
    """The form is always the same: the server's own."""
    text = utc_milliseconds(seconds)
    assert len(text) == len("2026-01-31T12:00:00.000Z")
    assert text.endswith("Z")
    parsed = datetime.fromisoformat(text[:-1] + "+00:00").timestamp()
    assert abs(parsed - seconds) <= 0.001_002


# --- Any structure at all ---

surrogates_too = st.text(st.characters(exclude_categories=()), max_size=5)
numpy_scalars = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.floats().map(np.longdouble),
    st.booleans().map(np.bool_),
    st.integers(-(10**9), 10**9).map(lambda n: np.datetime64(n, "s")),
)
hashables: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**53 - 2, 2**53 + 2),
    st.floats(),
    surrogates_too,
    surrogates_too.map(MyText),
    st.binary(max_size=5),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.complex_numbers(),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.timedeltas(),
    st.sampled_from([*Colour, *Text, *Level, Bits.A, int, Data]),
    st.builds(Raising),
    surrogates_too.map(PurePosixPath),
    numpy_scalars,
)
leaves: st.SearchStrategy[Any] = st.one_of(
    hashables,
    st.decimals(),  # a signalling NaN can't be hashed
    st.builds(ValueError, surrogates_too),
    st.binary(max_size=5).map(bytearray),
    st.sets(hashables, max_size=3),
    st.frozensets(st.tuples(hashables), max_size=3),
    st.lists(st.floats(), max_size=3).map(np.array),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Everything that can hold something else."""
    keys = st.one_of(hashables, st.tuples(hashables, hashables))
    mappings = st.dictionaries(keys, inner, max_size=3)
    sequences = st.lists(inner, max_size=3)
    return st.one_of(
        mappings,
        mappings.map(UserDict),
        mappings.map(types.MappingProxyType),
        sequences,
        sequences.map(tuple),
        sequences.map(deque),
        st.builds(Point, st.integers(), inner),
        st.builds(Data, inner, sequences),
        st.builds(Attrs, inner),
        st.builds(lambda a: Model(a=a), inner),
    )


values = st.recursive(leaves, containers, max_leaves=20)


def check(value: object, depth: int = 1) -> None:
    """What the gateway stores of it is what was sent."""
    assert depth <= MAX_DEPTH + 1
    if isinstance(value, dict):
        for key, item in value.items():
            key.encode()
            check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check(item, depth + 1)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, int):
        assert int(float(value)) == value


@pytest.mark.slow
@given(values)
@settings(database=None, deadline=None)
def test_any_structure_becomes_strict_json(value: object) -> None:
    """Whatever an app holds is sent within the rules, the same on both paths."""
    fast = strictly(dumps({"v": value}))
    slow = strictly(dumps({"v": value, "big": BIG}))
    check(fast)
    assert fast["v"] == slow["v"]


def test_what_the_app_holds_is_not_changed() -> None:
    """Serialising only reads, on either path."""
    message: dict[str, Any] = {
        "dict": {1: {"a": [math.inf, 2**60, "\ud800"]}},
        "deque": deque([{1, 2}, bytearray(b"\xff")]),
        "data": Data({"k": (1,)}, [NOON]),
        "attrs": Attrs(defaultdict(list, a=[1])),
        "model": Model(a=[{"b": {3}}]),
        "dict of others": UserDict({"k": [Colour.INNER]}),
    }
    before = copy.deepcopy(message)
    dumps(message)
    assert message == before
    dumps({key: message[key] for key in ("deque", "data", "attrs", "model")})
    assert message == before
    assert not message["attrs"].a.keys() - {"a"}
