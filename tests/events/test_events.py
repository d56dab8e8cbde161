"""The seven event types: what is taken, what is refused, and what the refusal says."""

from __future__ import annotations

import copy
import json
import uuid
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import numpy as np
import orjson
import pytest

from rudder_logging import BoundFields, Event, RudderFormatter
from rudder_logging.events.defaults import Defaults
from rudder_logging.events.table import (
    BINDABLE_FIELDS,
    EVENT_TYPES,
    bind_fields,
    build,
    merge_bound,
    merge_mappings,
    validate,
)
from rudder_logging.exceptions import InvalidEventError, InvalidTypeError, InvalidValueError

from ..each import each

SECRET = "s3cret-payload"
PAIR = [{"type": "email", "value": "a@example.com"}, {"type": "phone", "value": "+49"}]
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
UTC_NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)

Fields = dict[str, Any]


class Text(str, Enum):
    """The usual way to keep event names in one place, before Python 3.11's StrEnum."""

    READ = "Article Read"


class Number(IntEnum):
    """Ids as members."""

    SEVEN = 7


class Anything(Enum):
    """Ids of other types as members."""

    UUID = UUID
    TRUE = True
    BLANK = " "


OWN: dict[str, list[tuple[str, str, Any]]] = {
    "identify": [("traits", "traits", {"plan": "free"})],
    "track": [("event", "event", "Read"), ("properties", "properties", {"a": 1})],
    "page": [
        ("name", "name", "Home"),
        ("category", "category", "Docs"),
        ("properties", "properties", {"a": 1}),
    ],
    "screen": [
        ("name", "name", "Home"),
        ("category", "category", "Docs"),
        ("properties", "properties", {"a": 1}),
    ],
    "group": [("group_id", "groupId", "g1"), ("traits", "traits", {"plan": "free"})],
    "alias": [("previous_id", "previousId", "old"), ("traits", "traits", {"plan": "free"})],
    "merge": [("merge_properties", "mergeProperties", PAIR)],
}
"""Each type's own fields: in Python, on the wire, and a value."""

COMMON: list[tuple[str, str, Any]] = [
    ("user_id", "userId", "u1"),
    ("anonymous_id", "anonymousId", "a1"),
    ("message_id", "messageId", "m1"),
    ("timestamp", "timestamp", "2026-01-31T12:00:00Z"),
    ("context", "context", {"ip": "192.0.2.1"}),
    ("integrations", "integrations", {"All": False, "S3": True}),
]

REQUIRED = [
    ("track", "event"),
    ("group", "group_id"),
    ("alias", "previous_id"),
    ("merge", "merge_properties"),
]

ALL_TYPES = sorted(OWN)
EVERY_FIELD = [(name, *row) for name in ALL_TYPES for row in OWN[name] + COMMON]


def minimal(event_type: str, **more: Any) -> Fields:
    """Fields of which none may be left out."""
    required = [field for name, field in REQUIRED if name == event_type]
    values = {arg: value for arg, _, value in OWN[event_type] if arg in required}
    return {"type": event_type, "user_id": "u1", **values, **more}


def wire(event_type: str, **more: Any) -> Fields:
    """A message of that type as the gateway gets it."""
    return {**build(minimal(event_type)), **more}


def refusal(fields: Any, **options: Any) -> str:
    """What the refusal of an event says."""
    with pytest.raises(InvalidEventError) as caught:
        build(fields, **options)
    return str(caught.value)


# --- The table ---


def test_there_are_seven_types() -> None:
    """The seven types of RudderStack's specification, each told apart by its name."""
    assert sorted(EVENT_TYPES) == ALL_TYPES
    assert {name: row.name for name, row in EVENT_TYPES.items()} == {n: n for n in ALL_TYPES}


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_a_type_has_its_own_fields_and_the_common_ones(event_type: str) -> None:
    """No type takes a field that this suite does not know."""
    expected = [(arg, key) for arg, key, _ in OWN[event_type] + COMMON]
    assert [(field.arg, field.key) for field in EVENT_TYPES[event_type].fields] == expected


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_everything_is_documented(event_type: str) -> None:
    """Each type and each field says what it is for."""
    row = EVENT_TYPES[event_type]
    assert row.doc
    assert all(field.doc for field in row.fields)


@each("style", ["snake_case", "camelCase"])
@each("event_type", ALL_TYPES)
def test_fields_are_taken_under_either_name(event_type: str, style: str) -> None:
    """snake_case and camelCase make the same message."""
    rows = OWN[event_type] + COMMON
    given = {(arg if style == "snake_case" else key): value for arg, key, value in rows}
    message = build({"type": event_type, **given})
    expected = {key: value for _, key, value in rows}
    if event_type == "identify":
        expected["context"] = {"ip": "192.0.2.1", "traits": {"plan": "free"}}
    assert message == {"type": event_type, "channel": "server", **expected}


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_a_minimal_event_has_nothing_else(event_type: str) -> None:
    """What was not given is not in the message, but for the id, the type and the channel."""
    message = build(minimal(event_type))
    given = {
        "userId",
        *(EVENT_TYPES[event_type].by_name[f].key for t, f in REQUIRED if t == event_type),
    }
    assert set(message) == {"messageId", "type", "channel"} | given
    assert message["channel"] == "server"


def test_track_is_the_default() -> None:
    """An event without a type is a track."""
    assert build({"event": "Read", "user_id": "u1"})["type"] == "track"


@each(("event_type", "arg", "key", "value"), [row for row in EVERY_FIELD if row[1] != row[2]])
def test_a_field_given_under_both_names_is_refused(
    event_type: str, arg: str, key: str, value: Any
) -> None:
    """Two values for one field: neither wins silently."""
    said = refusal({**minimal(event_type), arg: value, key: value})
    assert arg in said
    assert key in said
    assert "given twice" in said


@pytest.mark.parametrize("which", ["user_id", "userId"])
def test_none_beside_the_other_name_is_no_second_value(which: str) -> None:
    """None means not given, so it does not clash with the same field's other name."""
    other = {"user_id": "userId", "userId": "user_id"}[which]
    assert build({"event": "Read", which: None, other: "u1"})["userId"] == "u1"


@each(("event_type", "arg", "key", "value"), EVERY_FIELD)
def test_none_means_not_given(event_type: str, arg: str, key: str, value: Any) -> None:
    """A field that is None is as good as left out."""
    fields = minimal(event_type, anonymous_id="a1")
    without = {name: given for name, given in fields.items() if name != arg}
    assert outcome({**without, arg: None}) == outcome(without)


def outcome(fields: Fields) -> object:
    """The message with a fixed id, or what its refusal says."""
    try:
        message = build(fields)
    except InvalidEventError as error:
        return str(error)
    return {**message, "messageId": "fixed"}


@pytest.mark.parametrize("value", [None, [], 3, "text", [("user_id", "u1")]])
def test_what_is_no_mapping_is_refused(value: Any) -> None:
    """`rudder` has to be a mapping."""
    with pytest.raises(InvalidTypeError, match=r"'rudder' must be a mapping.*give a dict"):
        build(value)


@pytest.mark.parametrize("make", [dict, MappingProxyType, UserDict])
def test_any_mapping_is_taken(make: Callable[[Fields], Mapping[str, Any]]) -> None:
    """It need not be a dict, nor what it holds."""
    message = build(make({"event": "Read", "user_id": "u1", "properties": make({"a": 1})}))
    assert dict(message["properties"]) == {"a": 1}


# --- Required fields ---


@pytest.mark.parametrize("given", ["left out", "None"])
@pytest.mark.parametrize(("event_type", "field"), REQUIRED)
def test_a_required_field_must_be_there(event_type: str, field: str, given: str) -> None:
    """A type's required field can't be left out, and the refusal names it."""
    fields = minimal(event_type)
    del fields[field]
    if given == "None":
        fields[field] = None
    with pytest.raises(InvalidValueError, match=f"^{event_type}: '{field}' is missing; give it"):
        build(fields)


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_one_of_two_ids_must_be_there(event_type: str) -> None:
    """The gateway answers 400 to an event without an id, so it is refused at the call."""
    fields = minimal(event_type)
    del fields["user_id"]
    with pytest.raises(InvalidValueError, match=r"give 'user_id' or 'anonymous_id'"):
        build(fields)
    assert build({**fields, "anonymous_id": "a1"})["anonymousId"] == "a1"


@pytest.mark.parametrize("event_type", ["identify", "page", "screen"])
def test_some_types_need_only_an_id(event_type: str) -> None:
    """Identify, page and screen have no required field of their own."""
    assert build({"type": event_type, "user_id": "u1"})["type"] == event_type


# --- Ids ---

ID_FIELDS = [
    ("track", "user_id", "userId"),
    ("track", "anonymous_id", "anonymousId"),
    ("track", "message_id", "messageId"),
    ("group", "group_id", "groupId"),
    ("alias", "previous_id", "previousId"),
]


@each(
    ("value", "sent"),
    [
        ("u1", "u1"),
        (" u1\t\n", "u1"),
        ("\u00a0u1\u3000", "u1"),
        ("a b", "a b"),
        ("0", "0"),
        ("\u00e4\U0001f600", "\u00e4\U0001f600"),
        ("u\u200d1", "u\u200d1"),
        (0, "0"),
        (-1, "-1"),
        (2**80, str(2**80)),
        (UUID, str(UUID)),
        (Text.READ, "Article Read"),
        (Number.SEVEN, "7"),
        (Anything.UUID, str(UUID)),
        (np.int64(5), "5"),
        (np.uint8(0), "0"),
        (np.str_("u1"), "u1"),
    ],
)
@each(("event_type", "arg", "key"), ID_FIELDS)
def test_ids_are_sent_as_trimmed_text(
    event_type: str, arg: str, key: str, value: Any, sent: str
) -> None:
    """Text, integers (0, too), UUIDs, and Enum members of these are ids; text is trimmed."""
    message = build({**minimal(event_type), arg: value})
    assert message[key] == sent
    assert type(message[key]) is str


@each(
    "value",
    [
        True,
        False,
        1.0,
        float("nan"),
        Decimal(1),
        b"u1",
        [],
        ["u1"],
        {},
        {"id": 1},
        object(),
        Anything.TRUE,
        np.float64(1.0),
        np.bool_(True),
    ],
)
@each(("event_type", "arg", "key"), ID_FIELDS)
def test_other_types_are_no_ids(event_type: str, arg: str, key: str, value: Any) -> None:
    """What may be an accident (a bool, a float, a list) is refused, by name and type."""
    with pytest.raises(InvalidTypeError) as caught:
        build({**minimal(event_type), arg: value})
    given = value.value if isinstance(value, Enum) else value
    assert str(caught.value) == (
        f"{event_type}: '{arg}' must be a str, an int or a UUID, not {type(given).__name__}"
    )


@each(
    "value",
    [
        "",
        " ",
        "\t\n",
        "\u00a0",
        "\u200b",
        "\u200b \u200c",
        "\ufeff",
        "\u00ad",
        "\u2060\u200d",
        "\x00",
        "\ud800",
        Anything.BLANK,
    ],
)
@each(("event_type", "arg", "key"), ID_FIELDS)
def test_blank_ids_are_refused(event_type: str, arg: str, key: str, value: Any) -> None:
    """What the gateway would trim to nothing is no id, invisible characters included."""
    with pytest.raises(InvalidValueError, match=rf"^{event_type}: '{arg}' .*give a non-empty str"):
        build({**minimal(event_type), arg: value})


@pytest.mark.parametrize(
    "character",
    ["\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"],
)
def test_ids_of_what_the_gateway_takes_for_invisible_are_refused(character: str) -> None:
    """The gateway's list has characters that Unicode calls printable; it answers 400 to them."""
    with pytest.raises(InvalidValueError, match="user_id"):
        build({"event": "Read", "user_id": character})


def test_an_integer_too_long_to_print_is_refused_by_name() -> None:
    """Python won't print an integer of over 4,300 digits; the refusal still names the field."""
    with pytest.raises(InvalidValueError, match="user_id"):
        build({"event": "Read", "user_id": 10**5_000})


def test_a_message_id_is_made_if_none_is_given() -> None:
    """Each event gets a UUID of its own."""
    ids = {build({"event": "Read", "user_id": "u1"})["messageId"] for _ in range(100)}
    assert len(ids) == 100
    assert all(str(uuid.UUID(one)) == one for one in ids)


# --- Text ---

TEXT_FIELDS = [
    ("track", "event"),
    ("page", "name"),
    ("page", "category"),
    ("screen", "name"),
    ("screen", "category"),
]


@each("value", [1, True, 1.5, b"Home", ["Home"], {"a": 1}, UUID, Number.SEVEN])
@each(("event_type", "field"), TEXT_FIELDS)
def test_text_fields_take_text_only(event_type: str, field: str, value: Any) -> None:
    """A name is never made of something else."""
    with pytest.raises(InvalidTypeError) as caught:
        build(minimal(event_type, **{field: value}))
    assert str(caught.value) == (
        f"{event_type}: '{field}' must be a str, not {type(value).__name__}"
    )


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_event_name_is_refused(value: str) -> None:
    """A track needs a name that says something; a page need not have one."""
    with pytest.raises(InvalidValueError, match="'event' is blank; give the name"):
        build({"event": value, "user_id": "u1"})
    assert build({"type": "page", "name": value, "user_id": "u1"})["name"] == value


@pytest.mark.parametrize(("event_type", "field"), TEXT_FIELDS)
def test_names_may_be_members_of_a_text_enum(event_type: str, field: str) -> None:
    """A member that is a str stands for its value, not for its Python name."""
    sent = build(minimal(event_type, **{field: Text.READ}))[field]
    assert str.__str__(sent) == "Article Read"


@pytest.mark.parametrize("name", ["Article Read", " Article Read ", "%s read", "\u00dcber"])
def test_an_event_name_is_sent_as_given(name: str) -> None:
    """Names are neither trimmed nor changed: a warehouse knows each by its text."""
    assert build({"event": name, "user_id": "u1"})["event"] == name


# --- Mappings and integrations ---

MAPPING_FIELDS = [
    (event_type, arg)
    for event_type in ALL_TYPES
    for arg, _, _ in OWN[event_type] + COMMON
    if arg in {"properties", "traits", "context", "integrations"}
]


@each("value", [[], [("a", 1)], "text", 1, True, ()])
@each(("event_type", "field"), MAPPING_FIELDS)
def test_mapping_fields_take_mappings_only(event_type: str, field: str, value: Any) -> None:
    """A list or a text in their place would be lost behind the gateway."""
    with pytest.raises(InvalidTypeError) as caught:
        build(minimal(event_type, **{field: value}))
    assert str(caught.value) == (
        f"{event_type}: '{field}' must be a mapping, not {type(value).__name__}; give a dict"
    )


class Closed(Mapping[str, Any]):
    """A mapping that can't be read any more, a row of a closed session say."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(SECRET)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("field", ["properties", "context", "integrations"])
def test_a_mapping_that_can_not_be_read_is_refused(field: str) -> None:
    """Sent as the text that its value is elsewhere, it would be accepted and lost."""
    said = refusal({"event": "Read", "user_id": "u1", field: Closed()})
    assert said == f"track: {field!r} can't be read: Closed raised RuntimeError; give a dict"


@pytest.mark.parametrize("value", [{}, {"All": True}, {"All": False, "S3": {"a": 1}}, {"S3": 1}])
def test_integrations_name_destinations(value: Fields) -> None:
    """`All` may be left out; a destination's own value is up to that destination."""
    assert build({"event": "Read", "user_id": "u1", "integrations": value})["integrations"] == value


@pytest.mark.parametrize("value", [None, "true", 1, 0, [], {}])
def test_all_is_true_or_false(value: Any) -> None:
    """Anything else under `All` makes the server drop the event after a 200."""
    with pytest.raises(InvalidTypeError, match=r"'integrations': 'All' must be True or False, not"):
        build({"event": "Read", "user_id": "u1", "integrations": {"All": value}})


# --- Merge ---


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (PAIR, PAIR),
        (tuple(PAIR), PAIR),
        ([MappingProxyType(PAIR[0]), PAIR[1]], PAIR),
        (
            [{"type": " email ", "value": 1}, {"type": Text.READ, "value": UUID}],
            [{"type": "email", "value": "1"}, {"type": "Article Read", "value": str(UUID)}],
        ),
    ],
)
def test_a_merge_takes_two_identifiers(value: Any, sent: Any) -> None:
    """Both by type and value, which follow the rules of ids."""
    assert build(minimal("merge", merge_properties=value))["mergeProperties"] == sent


@each(
    ("value", "error", "says"),
    [
        ({"type": "email", "value": "a"}, InvalidTypeError, "must be a list of exactly two"),
        ("ab", InvalidTypeError, "not str"),
        (iter(PAIR), InvalidTypeError, "not list_iterator"),
        ([], InvalidValueError, "it has 0 items"),
        (PAIR[:1], InvalidValueError, "it has 1 items"),
        (PAIR * 2, InvalidValueError, "it has 4 items"),
        ([PAIR[0], "b"], InvalidTypeError, "item 2 is str"),
        ([None, PAIR[1]], InvalidTypeError, "item 1 is None"),
        ([{"type": "email"}, PAIR[1]], InvalidValueError, "item 1 must have just 'type' and"),
        ([PAIR[0], {**PAIR[1], SECRET: 1}], InvalidValueError, "item 2 must have just"),
        ([{"type": "", "value": "a"}, PAIR[1]], InvalidValueError, "'type' is blank"),
        ([{"type": "email", "value": " "}, PAIR[1]], InvalidValueError, "'value' is blank"),
        ([{"type": "email", "value": True}, PAIR[1]], InvalidTypeError, "'value' must be a str"),
        ([{"type": "email", "value": None}, PAIR[1]], InvalidTypeError, "not None"),
    ],
)
def test_a_merge_of_another_shape_is_refused(
    value: Any, error: type[InvalidEventError], says: str
) -> None:
    """The documentation promises any number of identifiers, the server takes exactly two."""
    with pytest.raises(error, match=says) as caught:
        build(minimal("merge", merge_properties=value))
    assert "merge_properties" in str(caught.value)
    assert SECRET not in str(caught.value)


# --- Timestamps ---


@each(
    "text",
    [
        "2022-02-01T19:14:18Z",
        "2022-02-01T19:14:18+01:00",
        "2022-02-01T19:14:18-0130",
        "2022-02-01T19:14:18.3Z",
        "2022-02-01T19:14:18.381Z",
        "2022-02-01T19:14:18,381Z",
        "2022-02-01T19:14:18.381654321Z",
        "2022-02-01 19:14:18Z",
        "2022-02-01 19:14:18.381+01:00",
        "2022-02-01T19:14:18",
        "2022-02-01 19:14",
        "2022-02-01",
        "2024-02-29",
        "1643742858",
        "1643742858381",
        "1643742858381654",
        "1643742858381654321",
    ],
)
def test_text_that_the_server_parses_is_sent_as_given(text: str) -> None:
    """RFC 3339 in all the server's variations, dates, and seconds to nanoseconds as text."""
    assert build({"event": "Read", "user_id": "u1", "timestamp": text})["timestamp"] == text


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (UTC_NOON, "2026-01-31T12:00:00+00:00"),
        (UTC_NOON.replace(microsecond=5), "2026-01-31T12:00:00.000005+00:00"),
        (
            UTC_NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
            "2026-01-31T17:30:00+05:30",
        ),
        (date(2026, 1, 31), "2026-01-31"),
        ("Tue, 01 Feb 2022 19:14:18 GMT", "2022-02-01T19:14:18+00:00"),
        ("Tue, 01 Feb 2022 19:14:18 +0100", "2022-02-01T19:14:18+01:00"),
        ("Tue, 1 Feb 2022 19:14:18 UTC", "2022-02-01T19:14:18+00:00"),
        ("Tue Feb  1 19:14:18 2022", "2022-02-01T19:14:18+00:00"),
    ],
)
def test_times_of_other_forms_are_sent_as_rfc_3339(value: Any, sent: str) -> None:
    """Datetimes, dates, RFC 1123 and C's text keep their moment, and their offset."""
    assert build({"event": "Read", "user_id": "u1", "timestamp": value})["timestamp"] == sent


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Tue Feb 01 2022 19:14:18 GMT+0000 (Coordinated Universal Time)", "19:14:18+00:00"),
        ("Tue Feb 01 2022 19:14:18 GMT+0100 (Central European Time)", "19:14:18+01:00"),
        ("Tue Feb 01 2022 19:14:18 GMT-0700 (MST)", "19:14:18-07:00"),
    ],
)
def test_the_text_of_a_javascript_date_keeps_its_offset(text: str, moment: str) -> None:
    """The server parses such text, so it is sent as it is or as RFC 3339 of the same moment."""
    sent = build({"event": "Read", "user_id": "u1", "timestamp": text})["timestamp"]
    assert sent in {text, f"2022-02-01T{moment}"}


@pytest.mark.parametrize("seconds", [1, 28, 59])
def test_an_offset_with_seconds_becomes_one_that_the_server_parses(seconds: int) -> None:
    """Local mean times have such offsets; RFC 3339 and the server's parser don't."""
    moment = UTC_NOON.astimezone(timezone(timedelta(minutes=53, seconds=seconds)))
    sent = build({"event": "Read", "user_id": "u1", "timestamp": moment})["timestamp"]
    assert datetime.fromisoformat(sent) == UTC_NOON
    assert len(sent) == len("2026-01-31T12:00:00+00:00")


def test_a_moment_before_the_first_year_is_refused_by_name() -> None:
    """In UTC it would be in the year 0, which neither Python nor the server has."""
    moment = datetime(1, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28)))
    with pytest.raises(InvalidValueError, match="'timestamp' can't be parsed"):
        build({"event": "Read", "user_id": "u1", "timestamp": moment})


@each(
    "text",
    [
        "",
        " ",
        " 2022-02-01",
        "2022-02-01T19:14:18Z ",
        "2022-02-01\n",
        "1643742858.381",
        "164374285",
        "2022-02-01t19:14:18Z",
        "2022-02-01T19:14:18z",
        "20220201T191418Z",
        "2022-W05-2",
        "2022-02-01T24:00:00Z",
        "2022-02-01T19:60:00Z",
        "2022-02-01T19:14:60Z",
        "2022-02-30",
        "2023-02-29T00:00:00Z",
        "2022-13-01",
        "2022-02-01T19:14:18+24:00",
        "2022-02-01T19:14:18+01:99",
        "10000-01-01",
        "10000-01-01T00:00:00Z",
        "2022-02-01T19:14:18+0190",
        "2022-02-01T19:14:18 CET",
        "Tue, 01 Feb 2022 19:14:18 MST",
        "Tue, 01 Feb 2022 19:14:18",
        "Tue, 01 Feb 22 19:14:18 GMT",
        "Feb 1, 2022 7:14 PM",
        "Mon, 01 Jan 10000 00:00:00 GMT",
        "Tue, 32 Feb 2022 19:14:18 GMT",
        "Tue Feb 30 2022 19:14:18 GMT+0000 (UTC)",
        "Tue Feb 01 2022 24:00:00 GMT+0000 (UTC)",
        "Tue Feb 01 2022 19:60:00 GMT+0000 (UTC)",
        "Tue Feb 01 2022 19:14:60 GMT+0000 (UTC)",
        "19:14",
        "19:14:18",
        "19:14:18Z",
        "yesterday",
        "\u0662\u0660\u0662\u0662-02-01",
    ],
)
def test_text_that_the_server_ignores_is_refused(text: str) -> None:
    """The server ignores what it can't parse without a word; here it is an error with a cure."""
    with pytest.raises(InvalidValueError, match=r"'timestamp' can't be parsed.*aware datetime"):
        build({"event": "Read", "user_id": "u1", "timestamp": text})


TEXT = (Path(__file__).parent.parent / "contract" / "timestamps.jsonl").read_text("utf-8")
FORMS: list[dict[str, Any]] = [json.loads(line) for line in TEXT.splitlines()]


def _sent(given: Any, way: str) -> Any:
    """What is sent as `timestamp`, or why nothing is."""
    fields = {"event": "Read", "user_id": "u1", "timestamp": given}
    try:
        if way == "compiled":
            line = RudderFormatter().encode(fields, None, UTC_NOON.timestamp(), Defaults())
            return orjson.loads(line + b"}").get("timestamp")
        if way == "long":
            return build(fields).get("timestamp")
        return validate({**fields, "type": "track", "userId": "u1"})["timestamp"]
    except InvalidEventError as error:
        return error


@each("form", FORMS)
@each("way", ["compiled", "long", "from a file"])
def test_each_form_is_read_as_a_real_server_reads_it(way: str, form: dict[str, Any]) -> None:
    """Or refused: no event is stored under another time than its sender had in mind."""
    given, becomes = form["given"], form["timestamp"]
    sent = _sent(given, way)
    if isinstance(sent, InvalidEventError):
        assert "give an aware datetime" in str(sent)
    elif given is None:  # it counts as left out
        assert sent is None
    elif sent != given:
        moment = datetime.fromisoformat(sent)
        assert moment == datetime.fromisoformat(becomes.replace("Z", "+00:00"))
    else:
        assert becomes != "ignored"
        assert given.isdigit() or given.startswith(becomes[: len("2026-02-01")])


def test_few_forms_are_refused_that_a_server_reads() -> None:
    """Those that mislead, or name no day: all others are taken."""
    read = [form["given"] for form in FORMS if form["timestamp"] != "ignored"]
    taken = [given for given in read if isinstance(_sent(given, "long"), str)]
    assert len(taken) == 28
    assert len(read) - len(taken) == 25


@pytest.mark.parametrize("value", [1643742858, 1643742858.381, True, b"2022-02-01", [], {}])
def test_a_number_is_no_timestamp(value: Any) -> None:
    """The server takes numbers for absent, so they are refused."""
    with pytest.raises(InvalidTypeError) as caught:
        build({"event": "Read", "user_id": "u1", "timestamp": value})
    said = str(caught.value)
    assert f"track: 'timestamp' must be a datetime or text, not {type(value).__name__};" in said
    assert "give an aware datetime" in said


def test_a_naive_datetime_means_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time without a zone is taken for UTC, as the server takes it."""
    monkeypatch.setattr("rudder_logging.events.encoding._warned_about_naive_datetime", True)
    naive = UTC_NOON.replace(tzinfo=None)
    sent = build({"event": "Read", "user_id": "u1", "timestamp": naive})["timestamp"]
    assert sent == "2026-01-31T12:00:00+00:00"


class NotATime(datetime):
    """As pandas.NaT: a datetime that equals nothing."""

    __hash__ = datetime.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True


def test_not_a_time_is_refused() -> None:
    """pandas.NaT is no moment."""
    with pytest.raises(InvalidValueError, match="'timestamp' can't be parsed"):
        build({"event": "Read", "user_id": "u1", "timestamp": NotATime(2026, 1, 31)})


def test_integrations_that_differ_by_case_alone_warn_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destination has one name, case included: by any other, nothing is reached or kept back."""
    monkeypatch.setattr("rudder_logging.events.fields._integrations_named", {"All"})
    monkeypatch.setattr("rudder_logging.events.fields._by_folded_name", {"all": "All"})
    for name in ("Webhook", "Slack", "Webhook", "WEBHOOK", "WEBHOOK", "all"):
        build({"event": "Read", "user_id": "u1", "integrations": {name: False}})
    first, second = (record.getMessage() for record in caplog.records)
    assert "'Webhook' and 'WEBHOOK' differ by case alone" in first
    assert "'All' and 'all' differ by case alone" in second


def test_no_long_name_of_an_integration_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that an app makes of its data, whatever their size, cost no memory."""
    kept: set[str] = {"All"}
    monkeypatch.setattr("rudder_logging.events.fields._integrations_named", kept)
    monkeypatch.setattr("rudder_logging.events.fields._by_folded_name", {"all": "All"})
    build({"event": "Read", "user_id": "u1", "integrations": {"x" * 1_000_000: 1, "Slack": 1}})
    assert kept == {"All", "Slack"}


# --- Names that are not known ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("user_idd", "user_id"),
        ("userID", "userId"),
        ("propertes", "properties"),
        ("anonymousid", "anonymous_id"),
        ("evnt", "event"),
        ("integration", "integrations"),
    ],
)
def test_an_unknown_field_names_the_nearest(name: str, meant: str) -> None:
    """A typing error is an error, with the likely cure and all the choices."""
    said = refusal({"event": "Read", "user_id": "u1", name: "x"})
    assert f"track: unknown field '{name}'; did you mean '{meant}'?" in said
    assert "it takes: event, properties, user_id, anonymous_id, message_id" in said


@pytest.mark.parametrize(
    ("event_type", "name", "place"),
    [
        ("track", "revenue", "properties"),
        ("track", "order_id", "properties"),
        ("page", "title", "properties"),
        ("screen", "session_id", "properties"),
        ("identify", "plan", "traits"),
        ("group", "industry", "traits"),
        ("alias", "since", "traits"),
    ],
)
def test_a_property_at_the_root_is_sent_to_its_place(
    event_type: str, name: str, place: str
) -> None:
    """It is no typing error of a field's name that merely sounds like it."""
    said = refusal(minimal(event_type, **{name: 1}))
    assert f"{event_type}: unknown field '{name}'; put it under '{place}'; it takes: " in said


@pytest.mark.parametrize(
    ("event_type", "name"), [("merge", "revenue"), ("identify", "properties"), ("track", "x" * 65)]
)
def test_a_place_is_named_only_where_there_is_one(event_type: str, name: str) -> None:
    """A merge has no properties; and a field of another type is no property."""
    assert "put it under" not in refusal(minimal(event_type, **{name: 1}))


def test_types_for_checkers_are_those_of_the_table() -> None:
    """What a type checker lets pass is no unknown field, and the other way round."""
    names = {name for row in EVENT_TYPES.values() for name in row.by_name}
    assert Event.__annotations__.keys() == names | {"type"}
    assert BoundFields.__annotations__.keys() == BINDABLE_FIELDS.keys()
    types = get_args(get_args(get_type_hints(Event)["type"])[0])
    assert types == tuple(EVENT_TYPES)


def test_an_unknown_field_is_refused_even_if_none() -> None:
    """The name is wrong whatever the value is."""
    assert "unknown field 'colour'" in refusal({"event": "Read", "user_id": "u1", "colour": None})


@pytest.mark.parametrize("name", [1, None, ("user_id",), SECRET * 10])
def test_a_name_that_can_be_none_is_not_quoted(name: Any) -> None:
    """A key that is no text, or very long, is likely to be a payload: only its type is named."""
    said = refusal({"event": "Read", "user_id": "u1", name: "x"})
    assert SECRET not in said
    shown = "None" if name is None else type(name).__name__
    assert f"unknown field {shown};" in said.replace("; did", ";")


def test_a_name_that_can_not_be_shown_is_refused_like_any_other() -> None:
    """A key whose `__repr__` raises, a closed session's object say, is not asked for it."""

    class Closed:
        def __repr__(self) -> str:
            raise RuntimeError("session is closed")

    assert "unknown field Closed;" in refusal({"event": "Read", "user_id": "u1", Closed(): "x"})


@each(
    ("event_type", "field"),
    [
        (event_type, arg)
        for event_type in ALL_TYPES
        for arg in sorted({arg for rows in OWN.values() for arg, _, _ in rows})
        if arg not in {arg for arg, _, _ in OWN[event_type]}
    ],
)
def test_a_field_of_another_type_is_refused(event_type: str, field: str) -> None:
    """Properties on a group, say, would go nowhere."""
    value = next(v for rows in OWN.values() for arg, _, v in rows if arg == field)
    said = refusal(minimal(event_type, **{field: value}))
    assert f"{event_type}: unknown field '{field}'" in said


@pytest.mark.parametrize(
    ("event_type", "meant"),
    [
        ("trak", "track"),
        ("Track", "track"),
        ("identity", "identify"),
        ("pages", "page"),
        ("groups", "group"),
        ("aliases", "alias"),
        ("merged", "merge"),
        ("screeen", "screen"),
    ],
)
def test_an_unknown_type_names_the_nearest(event_type: str, meant: str) -> None:
    """Types are lower-case, and a typing error is an error."""
    said = refusal({"type": event_type, "user_id": "u1"})
    assert f"'type' is unknown; did you mean '{meant}'?" in said
    assert "give one of identify, track, page, screen, group, alias, merge" in said


@pytest.mark.parametrize("event_type", ["", "xyzzy", SECRET])
def test_an_unknown_type_like_no_other_lists_all(event_type: str) -> None:
    """Without a near name there is still the list."""
    said = refusal({"type": event_type, "user_id": "u1"})
    assert said == (
        "'type' is unknown; give one of identify, track, page, screen, group, alias, merge"
    )


@pytest.mark.parametrize("event_type", [1, True, [], {"a": 1}, b"track"])
def test_a_type_is_text(event_type: Any) -> None:
    """Whatever else it is, even if it can't be a dictionary's key."""
    with pytest.raises(
        InvalidTypeError, match=f"^'type' must be a str, not {type(event_type).__name__}$"
    ):
        build({"type": event_type, "user_id": "u1"})


@each(
    ("event_type", "field", "value"),
    [
        ("track", "user_id", [SECRET]),
        ("track", "user_id", {SECRET: SECRET}),
        ("track", "anonymous_id", SECRET.encode()),
        ("track", "message_id", (SECRET,)),
        ("track", "event", [SECRET]),
        ("track", "properties", SECRET),
        ("track", "context", [SECRET]),
        ("track", "integrations", SECRET),
        ("track", "integrations", {"All": SECRET}),
        ("track", "timestamp", SECRET),
        ("track", "timestamp", [SECRET]),
        ("page", "name", [SECRET]),
        ("screen", "category", {SECRET}),
        ("identify", "traits", SECRET),
        ("group", "group_id", [SECRET]),
        ("alias", "previous_id", [SECRET]),
        ("merge", "merge_properties", SECRET),
        ("merge", "merge_properties", [SECRET, SECRET]),
        ("merge", "merge_properties", [{SECRET: SECRET}, {SECRET: SECRET}]),
        ("merge", "merge_properties", [{"type": [SECRET], "value": SECRET}, PAIR[0]]),
    ],
)
def test_a_refusal_never_holds_the_value(event_type: str, field: str, value: Any) -> None:
    """It names field, type and cure; what was given may be personal data."""
    said = refusal(minimal(event_type, **{field: value}))
    assert said.startswith(f"{event_type}: '{field}'")
    assert SECRET not in said


# --- Defaults ---


@pytest.mark.parametrize(("event_type", "field"), [t for t in TEXT_FIELDS if t[1] != "category"])
def test_a_name_defaults_to_the_template(event_type: str, field: str) -> None:
    """The record's message template is the event's name; a name that is given wins."""
    fields = {"type": event_type, "user_id": "u1"}
    assert build(fields, template="Read %s")[field] == "Read %s"
    assert build({**fields, field: "Mine"}, template="Read %s")[field] == "Mine"


@pytest.mark.parametrize("event_type", ["identify", "group", "alias", "merge"])
def test_other_types_have_no_use_for_the_template(event_type: str) -> None:
    """Only a track, a page and a screen have a name."""
    message = build(minimal(event_type), template="Read %s")
    assert "Read %s" not in message.values()


@pytest.mark.parametrize("event_type", ["page", "screen"])
def test_none_prevents_the_template(event_type: str) -> None:
    """`name=None` says that a page has no name."""
    fields = {"type": event_type, "user_id": "u1", "name": None}
    assert "name" not in build(fields, template="Read %s")


def test_none_prevents_the_template_of_a_track() -> None:
    """A track has to have a name, so None is as good as none at all."""
    with pytest.raises(InvalidValueError, match="'event' is missing"):
        build({"event": None, "user_id": "u1"}, template="Read %s")


@pytest.mark.parametrize("template", [None, "", 3, ValueError("x"), ["Read"], b"Read"])
def test_a_template_that_is_no_text_is_no_name(template: object) -> None:
    """A record's message may be any object; only text can name an event."""
    with pytest.raises(InvalidValueError, match="'event' is missing"):
        build({"user_id": "u1"}, template=template)
    assert "name" not in build({"type": "page", "user_id": "u1"}, template=template)


def test_a_blank_template_is_no_event_name() -> None:
    """It follows the same rule as a name that is given."""
    assert "'event' is blank" in refusal({"user_id": "u1"}, template="  ")


# --- Traits ---


def test_identify_sends_traits_in_both_places() -> None:
    """Warehouses read them at the root, transformers in the context."""
    message = build(
        {
            "type": "identify",
            "user_id": "u1",
            "traits": {"plan": "pro", "address": {"city": "Bonn"}},
            "context": {"ip": "192.0.2.1", "traits": {"plan": "x", "address": {"zip": "1"}}},
        }
    )
    assert message["traits"] == {"plan": "pro", "address": {"city": "Bonn"}}
    assert message["context"] == {
        "ip": "192.0.2.1",
        "traits": {"plan": "pro", "address": {"city": "Bonn", "zip": "1"}},
    }


@pytest.mark.parametrize("event_type", ["group", "alias"])
def test_other_traits_stay_at_the_root(event_type: str) -> None:
    """A group's traits are not its user's."""
    message = build(minimal(event_type, traits={"plan": "pro"}, context={"ip": "192.0.2.1"}))
    assert message["traits"] == {"plan": "pro"}
    assert message["context"] == {"ip": "192.0.2.1"}


@pytest.mark.parametrize("event_type", ["identify", "group", "alias"])
def test_empty_traits_are_left_out(event_type: str) -> None:
    """At the root they would hide those in the context."""
    context = {"traits": {"plan": "pro"}}
    message = build(minimal(event_type, traits={}, context=context))
    assert "traits" not in message
    assert message["context"] == context
    assert "context" not in build(minimal(event_type, traits={}))


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_what_the_caller_holds_is_not_changed(event_type: str) -> None:
    """Neither the fields nor anything within, nor what is bound."""
    rows = OWN[event_type] + COMMON
    fields = {"type": event_type, **{arg: value for arg, _, value in rows}}
    fields["context"] = {"ip": "192.0.2.1", "traits": {"plan": "x", "deep": {"a": [1]}}}
    if event_type == "identify":
        fields["traits"] = {"plan": "pro", "deep": {"b": [2]}}
    bound = {
        "context": {"traits": {"deep": {"c": 3}}},
        "properties": {"a": 0, "z": {"y": 1}},
        "integrations": {"All": True},
    }
    fields_before, bound_before = copy.deepcopy(fields), copy.deepcopy(bound)
    build(fields, template="Read", bound=bound)
    assert fields == fields_before
    assert bound == bound_before


# --- Messages from elsewhere ---


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_what_build_makes_validates(event_type: str) -> None:
    """One table rules both."""
    rows = OWN[event_type] + COMMON
    validate(build({"type": event_type, **{arg: value for arg, _, value in rows}}))
    validate(build(minimal(event_type)))


@pytest.mark.parametrize("event_type", ALL_TYPES)
def test_a_wire_message_may_have_more_fields(event_type: str) -> None:
    """Other SDKs send fields of their own, and nulls for what is absent."""
    validate(
        wire(event_type, sentAt="x", channel="web", _metadata={}, timestamp=None, context=None)
    )


@each(
    ("event_type", "change", "error", "says"),
    [
        ("track", {"userId": None}, InvalidValueError, "no id; give 'user_id' or"),
        ("track", {"userId": " "}, InvalidValueError, "'userId' is blank"),
        ("track", {"userId": True}, InvalidTypeError, "'userId' must be a str"),
        ("track", {"event": None}, InvalidValueError, "'event' is missing"),
        ("track", {"event": 3}, InvalidTypeError, "'event' must be a str, not int"),
        ("track", {"properties": []}, InvalidTypeError, "'properties' must be a mapping"),
        ("track", {"context": "x"}, InvalidTypeError, "'context' must be a mapping"),
        ("track", {"timestamp": 1643742858}, InvalidTypeError, "'timestamp' must be a datetime"),
        ("track", {"timestamp": "soon"}, InvalidValueError, "'timestamp' can't be parsed"),
        ("track", {"integrations": None}, InvalidTypeError, "must be a mapping, not None"),
        ("track", {"integrations": {"All": None}}, InvalidTypeError, "'All' must be True or"),
        ("track", {"type": "TRACK"}, InvalidValueError, "'type' is unknown"),
        ("track", {"type": None}, InvalidTypeError, "'type' must be a str, not None"),
        ("group", {"groupId": None}, InvalidValueError, "is missing"),
        ("alias", {"previousId": []}, InvalidTypeError, "'previousId' must be a str"),
        ("merge", {"mergeProperties": PAIR[:1]}, InvalidValueError, "exactly two"),
    ],
)
def test_a_wire_message_that_would_be_lost_is_refused(
    event_type: str, change: Fields, error: type[InvalidEventError], says: str
) -> None:
    """The same rules by wire names; a null for integrations loses the event."""
    with pytest.raises(error, match=says):
        validate(wire(event_type, **change))


def test_a_wire_message_has_a_type() -> None:
    """Track is no default there."""
    message = wire("track")
    del message["type"]
    with pytest.raises(InvalidValueError, match=r"'type' is missing; give one of identify, track"):
        validate(message)


@pytest.mark.parametrize("value", [[], "text", None, 3])
def test_a_wire_message_is_a_mapping(value: Any) -> None:
    """A list of messages is no message."""
    with pytest.raises(InvalidTypeError, match="a message must be a mapping, not"):
        validate(value)


def test_validate_changes_nothing() -> None:
    """It looks, and no more."""
    message = wire("identify", userId=" u1 ", traits={}, context={"a": {"b": 1}})
    before = copy.deepcopy(message)
    validate(message)
    assert message == before


# --- Bound fields ---


def test_what_can_be_bound() -> None:
    """The circumstances of many events, not what tells one from the others."""
    assert set(BINDABLE_FIELDS) == {
        "user_id",
        "anonymous_id",
        "context",
        "integrations",
        "properties",
    }


def test_bound_fields_are_checked_and_keyed_as_on_the_wire() -> None:
    """An id is trimmed where it is bound, None binds nothing."""
    given = {"user_id": " 7 ", "anonymous_id": None, "context": {"a": 1}}
    assert bind_fields(given) == {"userId": "7", "context": {"a": 1}}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"user": "u1"}, InvalidValueError, "bind: 'user' can't be bound; did you mean 'user_id'?"),
        ({"userId": "u1"}, InvalidValueError, "did you mean 'user_id'?"),
        ({"event": "Read"}, InvalidValueError, "what can: "),
        ({"timestamp": None}, InvalidValueError, "'timestamp' can't be bound"),
        ({"user_id": " "}, InvalidValueError, "bind: 'user_id' is blank"),
        ({"user_id": True}, InvalidTypeError, "bind: 'user_id' must be a str"),
        ({"context": [SECRET]}, InvalidTypeError, "bind: 'context' must be a mapping, not list"),
        ({"integrations": {"All": SECRET}}, InvalidTypeError, "'All' must be True or False"),
    ],
)
def test_what_can_not_be_bound_is_refused(
    given: Fields, error: type[InvalidEventError], says: str
) -> None:
    """At once, not at the first event."""
    with pytest.raises(error) as caught:
        bind_fields(given)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


BOUND = {"userId": "bound", "context": {"a": {"x": 1, "y": 1}}, "properties": {"p": 1}}


@pytest.mark.parametrize(
    ("fields", "merged"),
    [
        ({}, {"user_id": "bound", "context": BOUND["context"], "properties": {"p": 1}}),
        (
            {"userId": "mine", "properties": {"p": 2, "q": 3}},
            {"userId": "mine", "context": BOUND["context"], "properties": {"p": 2, "q": 3}},
        ),
        (
            {"user_id": "mine", "context": {"a": {"y": 2}}},
            {"user_id": "mine", "context": {"a": {"x": 1, "y": 2}}, "properties": {"p": 1}},
        ),
        (
            {"type": "group", "group_id": "g1", "user_id": None},
            {"type": "group", "group_id": "g1", "user_id": "bound", "context": BOUND["context"]},
        ),
        (
            {"properties": [1]},
            {"user_id": "bound", "context": BOUND["context"], "properties": [1]},
        ),
        ({"type": []}, {"type": []}),
        ({"type": "xyzzy"}, {"type": "xyzzy"}),
    ],
)
def test_bound_fields_are_merged_under_explicit_ones(fields: Fields, merged: Fields) -> None:
    """Explicit wins, mappings merge, and what a type lacks is left out."""
    before = copy.deepcopy(fields)
    assert merge_bound(fields, BOUND) == merged
    assert fields == before


@pytest.mark.parametrize("name", ["user_id", "userId"])
def test_a_bound_id_satisfies_the_rule(name: str) -> None:
    """An event needs no id of its own where one is bound; under either name its own wins."""
    assert build({"event": "Read"}, bound=BOUND)["userId"] == "bound"
    assert build({"event": "Read", name: "mine"}, bound=BOUND)["userId"] == "mine"
    assert build({"event": "Read", name: None}, bound=BOUND)["userId"] == "bound"


def test_a_bound_mapping_does_not_hide_a_wrong_one() -> None:
    """What was given explicitly is still checked."""
    said = refusal({"event": "Read", "context": "x"}, bound=BOUND)
    assert "'context' must be a mapping, not str" in said


@each(
    ("base", "over", "merged"),
    [
        ({}, {}, {}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}, {"a": {"b": {"c": 1, "d": 2}}}),
    ],
)
@each("make", [dict, MappingProxyType])
def test_merge_goes_deep_and_changes_neither(
    base: Fields, over: Fields, merged: Fields, make: Callable[[Fields], Mapping[str, Any]]
) -> None:
    """Mappings merge key by key, anything else is replaced, and both stay as they were."""
    before = copy.deepcopy((base, over))
    assert merge_mappings(make(base), make(over)) == merged
    assert (base, over) == before
