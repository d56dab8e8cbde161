"""`dump_bound()` and `load_bound()`: what is bound, across a broker."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging import bind, bind_lazily, dump_bound, load_bound
from rudder_logging.common import telling
from rudder_logging.events import carried
from rudder_logging.events.encoding import dumps
from rudder_logging.events.scopes import bound_fields

from .test_context import message


@pytest.fixture(autouse=True)
def _nothing_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_told", set())


ALL = {
    "userId": "u1",
    "anonymousId": "a1",
    "context": {"ip": "192.0.2.1", "page": {"path": "/é"}},
    "integrations": {"S3": False},
    "properties": {"a": [1, None, True]},
}


def test_all_fields_travel() -> None:
    """As JSON, with a version; what is bound lazily, too."""
    with bind(user_id="u1", context={"ip": "192.0.2.1"}, integrations={"S3": False}):
        with bind_lazily(lambda: {"anonymous_id": "a1", "context": {"page": {"path": "/é"}}}):
            with bind(properties={"a": (1, float("nan"), True)}):
                text = dump_bound()
    assert json.loads(text) == {"v": 1, "bound": ALL}
    assert not bound_fields()
    for given_text in (text, text.encode()):
        with load_bound(given_text):
            assert bound_fields() == ALL
            assert message()["userId"] == "u1"
            with load_bound(dump_bound()):
                assert bound_fields() == ALL
    assert not bound_fields()


def test_nothing_bound_is_loaded_as_nothing() -> None:
    """What is bound around it stays."""
    text = dump_bound()
    with bind(user_id="u1"), load_bound(text), load_bound(None):
        assert bound_fields() == {"userId": "u1"}


@pytest.mark.parametrize("size", [100, 5_000, 1_000_000])
def test_it_has_at_most_4_kib(size: int, caplog: pytest.LogCaptureFixture) -> None:
    """Details go, the largest first, with one warning a place; ids and integrations stay."""
    properties = {"small": 1, "large": "é" * size}
    context = {"ip": "192.0.2.1", "page": {"title": "t" * 3_500}, "more": "m" * 900}
    kept = {"userId": "u1", "integrations": {"All": False}}
    for _ in range(2):
        with bind(user_id="u1", integrations={"All": False}):
            with bind(properties=properties, context=context):
                text = dump_bound()
        assert len(text.encode()) <= 4096
        with load_bound(text):
            bound = dict(bound_fields())
            assert {key: bound[key] for key in kept} == kept
            assert bound["context"]["ip"] == "192.0.2.1"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("over", range(-2, 4))
def test_no_more_goes_than_has_to(over: int) -> None:
    """The text may have just 4,096 bytes, whichever entries go."""
    rest = len('{"v":1,"bound":{"context":{"a":""},"properties":{}}}')
    with bind(context={"a": "x" * (4096 - rest + over)}, properties={"b": "x" * 5_000}):
        text = dump_bound()
    assert len(text) == (4096 + over if over <= 0 else len(text))
    assert ("xxx" in text) is (over <= 0)


def test_many_entries_are_written_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not all of them once for each that goes."""
    written: list[int] = []

    def counted(value: dict[str, Any]) -> bytes:
        text = dumps(value)
        written.append(len(text))
        return text

    monkeypatch.setattr(carried, "dumps", counted)
    with bind(user_id="u1", properties={f"name {number}": number for number in range(1_000)}):
        text = dump_bound()
    assert 4_000 < len(text) <= 4096
    assert sum(written) < 10 * max(written)


def test_ids_that_do_not_fit_are_left_out_with_all_else(caplog: pytest.LogCaptureFixture) -> None:
    """Half a user would be another one."""
    with bind(user_id="u" * 5_000, anonymous_id="a1"):
        assert json.loads(dump_bound()) == {"v": 1, "bound": {}}
    assert len(caplog.records) == 1


def test_what_cannot_be_written_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """It contains itself, say; each event that it is bound to is refused for it."""
    context: dict[str, Any] = {}
    context["a"] = context
    with bind(user_id="u1", context=context):
        assert json.loads(dump_bound()) == {"v": 1, "bound": {}}
    assert "contains itself" in caplog.text


UNREADABLE = [
    "",
    "x",
    "[]",
    "null",
    "1",
    '{"v": 2, "bound": {"userId": "u1"}}',
    '{"v": 1}',
    '{"v": 1, "bound": []}',
    '{"v": 1, "bound": {"userId": "' + "u" * 5_000 + '"}}',
    b"\xff",
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_text_that_cannot_be_read_binds_nothing(
    text: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once a place."""
    for _ in range(2):
        with bind(user_id="u1"), load_bound(text):
            assert message()["userId"] == "u1"
    assert len(caplog.records) == 1
    assert "can't read" in caplog.text
    assert f"{__file__}:" in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
fields = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*ALL, "unknown"], json_values)
) | st.dictionaries(st.text(), json_values)


@given(st.text() | st.binary() | st.builds(lambda f: json.dumps({"v": 1, "bound": f}), fields))
def test_no_text_makes_it_raise(text: str | bytes) -> None:
    """It may come from anywhere."""
    with bind(anonymous_id="a1"), load_bound(text):
        bound_fields()
        assert len(dump_bound().encode()) <= 4096
    assert not bound_fields()
