"""A test over many cases within one item fails for any of them, and tells which."""

from __future__ import annotations

import inspect

import pytest

from .each import each


class Shy:
    """A value that can't be shown."""

    def __repr__(self) -> str:
        raise ValueError


def test_all_cases_run_and_those_that_fail_are_told() -> None:
    """With their values and the reason, whatever they raise."""
    seen = []

    @each("right", [1, 2])
    @each(("left", "name"), [(1, "a"), (2, "b"), (3, "c")])
    def check(left: int, name: str, right: int) -> None:
        seen.append((left, right))
        assert left != right, name
        if left == 3:
            with pytest.raises(KeyError):
                seen.clear()

    with pytest.raises(pytest.fail.Exception) as caught:
        check()
    assert str(caught.value).startswith("4 of 6 cases fail\n")
    for line in ("right = 2\nleft = 2\nname = 'b'\n", "AssertionError: b", "DID NOT RAISE"):
        assert line in str(caught.value)
    assert seen == []


def test_fixtures_stay_parameters() -> None:
    """What no case gives is for pytest to give."""

    @each("value", [Shy()])
    def check(value: object, fixture: str) -> None:
        assert fixture == "given"

    assert list(inspect.signature(check).parameters) == ["fixture"]
    check(fixture="given")
    with pytest.raises(pytest.fail.Exception, match="value = a value of the type Shy"):
        check(fixture="other")


def test_no_case_is_no_test() -> None:
    """A table that is empty by mistake checks nothing."""
    with pytest.raises(ValueError, match="no cases"):
        each("value", [])
