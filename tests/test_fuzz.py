"""Anything at all as an event, or as a setting: the app is not hurt, and the server takes it.

Values by type, with the JSON that each becomes, are in `test_encoding.py`.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections import UserDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rudder_logging
from rudder_logging import (
    EVENT_TYPES,
    Config,
    ConfigError,
    InvalidEventError,
    RudderHandler,
    UnknownOptionError,
)
from rudder_logging.config import ALIASES, OPTIONS
from rudder_logging.dataplane import LocalDataPlane, gateway
from rudder_logging.events.table import validate
from rudder_logging.handler.settings import settings as package_settings
from rudder_logging.sinks.gateway.outcomes import Answer
from rudder_logging.sinks.gateway.sink import GatewaySink

from .conftest import WRITE_KEY, MakeHandler, Wire, examples
from .events.test_encoding import (
    Attrs,
    Box,
    Model,
    Raising,
    RaisingMapping,
    endless_array,
    endless_attrs,
    endless_dataclass,
    endless_dict,
    endless_list,
    endless_mapping,
    hashables,
    nest,
    surrogates_too,
    values,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * examples(1.0))]


def fuzz(share: float) -> settings:
    """So many examples; making odd ones is slow, and pytest's fixtures bear it."""
    return settings(max_examples=examples(share), suppress_health_check=list(HealthCheck))


class Case:
    """A value that may have no repr, or an endless one, as Hypothesis can show it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        try:
            return repr(self.value)[:2_000]
        except Exception as error:  # noqa: BLE001 - whatever it raises
            return f"<{type(self.value).__name__} without a repr: {type(error).__name__}>"


@dataclasses.dataclass(slots=True)
class UnsetSlots:
    """A dataclass with a slot that nobody has set."""

    a: Any
    later: int = dataclasses.field(init=False)


def tuple_in_its_dict() -> object:
    """A tuple in the dict that it holds."""
    value: dict[str, Any] = {}
    value["k"] = (value,)
    return value


def tuples_in_a_list() -> object:
    """Tuples in the list that they hold."""
    value: list[Any] = []
    value.append(((value,), value))
    return value


ENDLESS: list[Callable[[], object]] = [
    endless_array,
    endless_attrs,
    endless_dataclass,
    endless_dict,
    endless_list,
    endless_mapping,
    tuple_in_its_dict,
    tuples_in_a_list,
]
WRAPS: list[Callable[[Any], Any]] = [
    lambda v: {"k": v},
    lambda v: [v],
    lambda v: (v,),
    lambda v: UserDict({1: v}),
    lambda v: deque([v]),
    Box,
    Attrs,
    UnsetSlots,
]

wild: st.SearchStrategy[Any] = st.one_of(
    values,
    values.map(UnsetSlots),
    st.sampled_from(ENDLESS).map(lambda make: make()),
    st.builds(nest, st.sampled_from([90, 99, 100, 300]), st.sampled_from(WRAPS)),
    st.builds(RaisingMapping),
    st.sampled_from([10**400, 10**5_000, -(10**5_000), "x" * 40_000, b"\xff" * 40_000]),
    st.lists(st.builds(object), max_size=2),
)

NAMES = sorted({name for row in EVENT_TYPES.values() for name in row.by_name} | {"type"})
ids = st.one_of(st.text("ab \u00fc\ud800", min_size=1), st.integers(), st.uuids(), surrogates_too)
mappings = st.dictionaries(hashables, wild, max_size=3)

SENSIBLE: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("userId", "anonymousId", "messageId", "groupId", "previousId"), ids),
    **dict.fromkeys(("properties", "traits", "context"), mappings),
    "integrations": st.dictionaries(surrogates_too, wild, max_size=2),
    "timestamp": st.one_of(st.datetimes(), st.datetimes(timezones=st.timezones()), st.dates()),
    "mergeProperties": st.lists(
        st.fixed_dictionaries({"type": ids, "value": ids}), min_size=2, max_size=2
    ),
    **dict.fromkeys(("event", "name", "category"), surrogates_too),
}


@st.composite
def plausible_events(draw: st.DrawFn) -> dict[Any, Any]:
    """Fields as an app might give them, with anything in those that hold anything."""
    row = draw(st.sampled_from(list(EVENT_TYPES.values())))
    event: dict[Any, Any] = {"type": row.name, "user_id": draw(ids)}
    for field in row.fields:
        if field.required or draw(st.booleans()):
            event[draw(st.sampled_from([field.arg, field.key]))] = draw(SENSIBLE[field.key])
    return event


@st.composite
def spoilt_events(draw: st.DrawFn) -> dict[Any, Any]:
    """The same with one field replaced by anything, or one more that does not belong there."""
    event = draw(plausible_events())
    names = [st.sampled_from(NAMES), st.sampled_from(list(event)), hashables]
    name = draw(names[draw(st.sampled_from([0, 1, 1, 1, 2]))])
    event[name] = draw(wild)
    if draw(st.sampled_from([False] * 5 + [True])):
        event[draw(st.sampled_from(["properties", "traits", "context"]))] = RaisingMapping()
    return event


@st.composite
def any_events(draw: st.DrawFn) -> Case:
    """Whatever an app may put there; half of it is an event."""
    kinds: list[st.SearchStrategy[Any]] = [
        plausible_events(),
        plausible_events().map(UserDict),
        spoilt_events(),
        st.dictionaries(st.sampled_from(NAMES), wild, max_size=4),
        wild,
    ]
    # An index, because alternatives within alternatives would all get the same share.
    return Case(draw(kinds[draw(st.sampled_from([0, 0, 0, 1, 2, 2, 3, 4]))]))


def fingerprint(value: Any, seen: dict[int, int] | None = None) -> Any:
    """What a value is made of, down to the very objects; cycles are as good as anything."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = len(seen)
    parts: list[Any] = []
    if isinstance(value, np.ndarray):
        parts = [id(item) for item in value.flat] if value.dtype == object else [value.tobytes()]
    elif isinstance(value, (dict, UserDict)):
        parts = [(id(key), fingerprint(item, seen)) for key, item in value.items()]
    elif isinstance(value, (list, tuple, deque)):
        parts = [fingerprint(item, seen) for item in value]
    elif isinstance(value, (set, frozenset)):
        parts = sorted(map(id, value))
    elif isinstance(value, bytearray):
        parts = [bytes(value)]
    elif isinstance(value, (Attrs, Box, Model, UnsetSlots)):
        parts = [fingerprint(value.a if hasattr(value, "a") else value.v, seen)]
    return (id(value), parts)


class Gateway:
    """A transport that asks the gateway's rules, without a socket."""

    sent, seconds = 1, 0.01

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []

    def send(self, body: bytes, timeout: float | None = None, *, plain: bool = False) -> Answer:
        """See `Transport.send`."""
        verdict = gateway.check_body("/v1/batch", body)
        self.stored += verdict.events
        return Answer(verdict.status, verdict.text)

    def close(self) -> None:
        """Nothing is open."""

    def urls(self) -> list[str]:
        """It reaches nobody."""
        return []


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What `handleError` was called for."""
    import sys

    told: list[BaseException | None] = []

    def keep(self: RudderHandler, record: logging.LogRecord) -> None:
        told.append(sys.exc_info()[1])

    monkeypatch.setattr(RudderHandler, "handleError", keep)
    return told


@pytest.fixture
def direct(make_handler: MakeHandler) -> RudderHandler:
    """A handler that asks the gateway's rules in the calling thread."""
    handler = make_handler(sync_mode=True)
    handler._listener._sender.sink = GatewaySink(handler.config, Gateway())
    return handler


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """No line about naive datetimes."""
    logger = logging.getLogger("rudder_logging")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


# --- Events ---


def test_any_event_is_sent_as_the_gateway_wants_it_or_refused_at_the_call(
    direct: RudderHandler, wire: Wire, errors: list[BaseException | None]
) -> None:
    """Whatever an app logs as an event: nothing is raised, it is either accepted or counted as
    invalid, the gateway takes what is accepted and loses none of it, and the app's objects stay
    as they are.
    """
    logger = wire(direct)
    logger.propagate = False
    sink: Any = direct._listener._sender.sink
    transport = sink._transport

    @fuzz(15.0)
    @given(any_events(), st.one_of(st.just("template"), surrogates_too, wild).map(Case))
    def check(case: Case, template: Case) -> None:
        event = case.value
        before, made_of = direct.stats(), fingerprint(event)
        errors.clear()
        transport.stored.clear()
        logger.info(template.value, extra={"rudder": event})
        after = direct.stats()
        assert fingerprint(event) == made_of
        accepted, invalid = after.accepted - before.accepted, after.invalid - before.invalid
        assert accepted + invalid == (event is not None)
        assert len(errors) == invalid
        assert {type(error) for error in errors if not isinstance(error, InvalidEventError)} <= {
            OSError  # a RaisingMapping's own
        }
        assert after.refused == sum(after.dropped.values()) == 0
        assert len(transport.stored) == accepted
        for message in transport.stored:
            validate(message)

    check()
    assert direct.stats().delivered > examples(2.0)


def test_any_events_arrive_over_a_socket(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    errors: list[BaseException | None],
) -> None:
    """The same for whole batches over HTTP: one strange event harms no other."""
    handler = make_handler(upload_interval=3_600)
    logger = wire(handler)
    logger.propagate = False

    @fuzz(3.0)
    @given(st.lists(any_events(), min_size=1, max_size=4))
    def check(cases: list[Case]) -> None:
        batch = [case.value for case in cases]
        before = handler.stats()
        plane.clear()
        for event in batch:
            logger.info("template", extra={"rudder": event})
        assert handler.flush(10)
        after = handler.stats()
        accepted = after.accepted - before.accepted
        assert accepted + after.invalid - before.invalid == len([e for e in batch if e is not None])
        assert len(plane.events) == accepted
        assert plane.problems == []
        assert after.refused == 0

    check()
    assert handler.stats().delivered > examples(1.0)


def test_any_call_is_sent_or_raises_what_is_wrong(direct: RudderHandler, wire: Wire) -> None:
    """The seven calls raise nothing but what says that an argument can't be."""
    logger = wire(direct, name="rudder")
    logger.propagate = False

    @fuzz(5.0)
    @given(spoilt_events().map(Case))
    def check(case: Case) -> None:
        event = case.value
        row = EVENT_TYPES.get(event["type"]) if isinstance(event.get("type"), str) else None
        if row is None:
            return
        by_arg = {field.arg for field in row.fields}
        before = direct.stats()
        arguments = {name: value for name, value in event.items() if name in by_arg}
        try:
            message_id = getattr(rudder_logging, row.name)(**arguments)
        except (InvalidEventError, OSError):
            assert direct.stats().accepted == before.accepted
        else:
            assert isinstance(message_id, str)
            assert direct.stats().delivered == before.delivered + 1

    check()
    assert direct.stats().delivered > examples(0.5)


# --- Settings ---

SECRET = "hush-7f3a"
BASE = {"write_key": WRITE_KEY, "data_plane_url": "http://127.0.0.1:9"}

odd_texts = st.one_of(
    st.text(max_size=20),
    surrogates_too,
    st.sampled_from(
        ["", " ", "0", "-1", "1e400", "nan", "yes", "{}", "[]", '{"a": 1}', "drop_old"]
    ),
    st.sampled_from(["memory://", "file:///", "http://[", "https://x", "a:b", ".", "os.path:join"]),
    st.sampled_from(["9" * 5_000, "\x00", "os\x00.path"]),
)
odd_values = st.one_of(
    odd_texts,
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    wild,
    st.dictionaries(surrogates_too, odd_texts, max_size=2),
    st.lists(odd_texts, max_size=3),
    st.sampled_from([print, Raising, len, ...]),
)
option_names = st.sampled_from([*OPTIONS, *ALIASES])


def load(environ: dict[str, str], options: dict[str, Any]) -> Config | ConfigError:
    """The configuration, or what is wrong with it."""
    try:
        return Config.load(environ, **options)
    except ConfigError as error:
        return error


@fuzz(5.0)
@given(st.dictionaries(option_names, odd_values, min_size=1, max_size=3))
def test_any_value_of_an_option_makes_a_configuration_or_a_clear_error(
    given_options: dict[str, Any],
) -> None:
    """As keywords: a configuration, or a ConfigError that begins with an option's name."""
    made = load({}, {**BASE, **given_options})
    if isinstance(made, ConfigError):
        assert str(made).startswith((*OPTIONS, *ALIASES))
    else:
        # What was read once is read the same again.
        assert Config(**{name: getattr(made, name) for name in OPTIONS}) == made


@fuzz(3.0)
@given(st.dictionaries(st.sampled_from(list(OPTIONS)), odd_texts, min_size=1, max_size=3))
def test_any_environment_makes_a_configuration_or_a_clear_error(environ: dict[str, str]) -> None:
    """As variables: a configuration, or a ConfigError that names variable or option."""
    variables = {f"RUDDER_{name.upper()}": text for name, text in {**BASE, **environ}.items()}
    made = load(variables, {})
    assert isinstance(made, Config) or str(made).startswith(("RUDDER_", *OPTIONS))


@fuzz(3.0)
@given(st.one_of(option_names, st.text(max_size=12)), odd_values)
def test_any_attribute_of_the_package_is_a_setting_or_a_clear_error(name: str, value: Any) -> None:
    """Assigned to the package: kept, or a ConfigError, and then the old value stands."""
    if hasattr(rudder_logging, name) and name not in {*OPTIONS, *ALIASES}:
        return  # a name of the package's own may be patched
    if name.startswith("_"):
        return
    try:
        setattr(rudder_logging, name, value)
    except ConfigError:
        if name in {*OPTIONS, *ALIASES}:
            assert getattr(rudder_logging, name) is None
    else:
        assert (getattr(rudder_logging, name) is None) == (value is None)
    finally:
        package_settings.reset()


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[str, str]:
    """An option's name, and the same with one letter too many, too few, or another."""
    name = draw(option_names)
    at = draw(st.integers(0, len(name) - 1))
    letter = draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz_"))
    wrong = draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + letter + name[at:],
                name[:at] + letter + name[at + 1 :],
            ]
        )
    )
    return name, wrong


@fuzz(2.0)
@given(misspelt())
def test_a_misspelt_option_names_one_at_least_as_near(names: tuple[str, str]) -> None:
    """Whatever the typing error, the cure stands in the message."""
    meant, wrong = names
    if wrong in {*OPTIONS, *ALIASES}:
        return
    with pytest.raises(UnknownOptionError, match="did you mean") as caught:
        Config.load({}, **{**BASE, wrong: 1})
    said = str(caught.value).rpartition("did you mean ")[2].strip("'?")

    def likeness(name: str) -> float:
        # As difflib compares: its measure is not symmetric.
        return difflib.SequenceMatcher(None, name, wrong).ratio()

    assert likeness(said) >= likeness(meant)


with_secret = st.sampled_from(
    [
        f"{SECRET}:",
        f"{SECRET}\n{SECRET}",
        f"\u00fc{SECRET}",
        f"http://user:{SECRET}@proxy",
        f"http://user:{SECRET}@[proxy",
        f'{{"http": "http://user:{SECRET}@proxy"',
        f'["http://user:{SECRET}@proxy"]',
        {"http": f"http://user:{SECRET}@proxy", "https": 5},
        {5: f"http://user:{SECRET}@proxy"},
        {"http": {"user": SECRET}},
        [SECRET],
        (SECRET, SECRET, SECRET),
        SECRET.encode(),
        f"http://u:{SECRET}@127.0.0.1:9",
        f"{SECRET}.{SECRET}",
    ]
)


@fuzz(2.0)
@given(option_names, with_secret)
def test_no_message_or_repr_holds_a_secret(name: str, value: Any) -> None:
    """What was put in the wrong place, or misspelt, is not quoted in an error or a repr."""
    options: list[tuple[dict[str, str], dict[str, Any]]] = [({}, {**BASE, name: value})]
    if isinstance(value, str) and name in OPTIONS:
        others = {option: given for option, given in BASE.items() if option != name}
        options.append(({f"RUDDER_{name.upper()}": value}, others))
    for environ, explicit in options:
        made = load(environ, explicit)
        if isinstance(made, ConfigError):
            assert SECRET not in str(made)
            assert made.__suppress_context__ or made.__context__ is None
        elif name in ("write_key", "proxies"):
            assert SECRET not in repr(made)
