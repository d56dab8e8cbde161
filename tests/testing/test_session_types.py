"""Types that drift in a run of pytest, and over time, as users' suites see it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ..guides.pages import PAGES, blocks
from .test_pytest_plugin import HEAD, OWN

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

PRICES = """
def test_whole(rudder_events):
    event(properties={"total": 5})

def test_fraction(rudder_events):
    event(properties={"total": 24.95, "SECRET": "SECRET"})
"""
CUT = "a warehouse cuts its fraction off, without a word; send money in minor units*"
DRIFT = "properties.total is float, and the column order_completed.total is"


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a file of tests, in this process unless it is to have workers."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_app=HEAD + code)
        if "-n" in arguments:
            return pytester.runpytest_subprocess(*OWN, *arguments, timeout=150)
        return pytester.runpytest_inprocess(*OWN, *arguments)

    return run


def columns(pytester: pytest.Pytester) -> dict[str, str]:
    """The types that the project's file has."""
    text = (pytester.path / "rudder-types.json").read_text()
    found: dict[str, str] = json.loads(text)["columns"]
    return found


def test_findings_of_a_session_are_told_at_its_end(run: Run) -> None:
    """Without a file: both lines, the fate of the later one and a cure, and no test fails."""
    done = run(PRICES)
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(
        [
            "*= types of RudderStack events =*",
            f"test_app.py:8 in test_fraction: {DRIFT} int since test_app.py:8 in test_whole: {CUT}",
        ]
    )
    assert done.ret == 0


def test_the_two_lines_are_named(run: Run) -> None:
    """Those of the calls, wherever the tests are."""
    done = run(
        """
def log(value):
    logging.getLogger("shop").info("Paid", extra={"rudder": {"user_id": "1", "properties": value}})

def test_one(rudder_events):
    rudder_logging.track("1", "Paid", {"day": "2026-01-31"})
    rudder_events.clear()

def test_other(rudder_events):
    log({"day": "SECRET"})
"""
    )
    drift = "properties.day is string, and the column paid.day is datetime"
    first, later = "test_app.py:21 in test_one", "test_app.py:18 in test_other"
    done.stdout.fnmatch_lines([f"{later}: {drift} since {first}: a warehouse puts it into *"])
    done.stdout.no_fnmatch_line("*SECRET*")


def test_nothing_is_said_where_nothing_drifts(run: Run) -> None:
    """Nor of tests that have no events, or are not checked."""
    done = run(
        """
def test_one(rudder_events):
    event(properties={"total": 5})
    event(properties={"total": 5.0})

@pytest.mark.rudder_unchecked
def test_unchecked(rudder_events):
    event(properties={"total": "x"})

def test_without():
    pass
"""
    )
    done.assert_outcomes(passed=3)
    done.stdout.no_fnmatch_line("*types of RudderStack events*")


def test_an_option_has_them_fail(run: Run, pytester: pytest.Pytester) -> None:
    """The test that brings the later type; another option looks away."""
    pytester.makeini("[pytest]\nrudder_types = error")
    done = run(PRICES, "--show-capture=no")
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_fraction*",
            "types of events drift:",
            f"  test_app.py:8 in test_fraction: *{CUT}",
        ]
    )
    done.stdout.no_fnmatch_line("*SECRET*")
    done.stdout.no_fnmatch_line("*Traceback*")
    pytester.makeini("[pytest]\nrudder_types = off")
    done = run(PRICES)
    done.assert_outcomes(passed=2)
    done.stdout.no_fnmatch_line("*types of RudderStack events*")
    pytester.makeini("[pytest]\nrudder_types = fail")
    done = run(PRICES)
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*rudder_types must be one of warn, error, off"])


def test_a_change_of_type_fails_its_test(run: Run, pytester: pytest.Pytester) -> None:
    """Once the types are in a file; a deliberate one is written, and told."""
    before = 'def test_paid(rudder_events):\n    event(properties={"total": 5, "coupon": "x"})\n'
    done = run(before, "--rudder-types-update")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["rudder-types.json: * new column*, 0 with another type"])
    assert columns(pytester) == {
        "order_completed.coupon": "string",
        "order_completed.total": "int",
    }
    done = run(before)
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("*types of RudderStack events*")

    after = before.replace("5", "24.95").replace('"x"', '"x", "gift": True')
    done = run(after)
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(
        [
            "types of events drift:",
            f"  test_app.py:8 in test_paid: {DRIFT} int by rudder-types.json:5: {CUT}",
            "If a new type is meant, * pytest --rudder-types-update; *",
            "1 column is not in rudder-types.json; pytest --rudder-types-update adds what is new",
        ]
    )
    assert columns(pytester)["order_completed.total"] == "int"

    done = run(after, "--rudder-types-update")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(
        [
            "rudder-types.json: 1 new column, 1 with another type",
            "order_completed.total: int becomes float",
            "a column that a warehouse has made keeps its type: change it there, too",
        ]
    )
    assert columns(pytester)["order_completed.total"] == "float"
    run(before).assert_outcomes(passed=1)  # whole numbers fit


def test_a_part_of_the_tests_leaves_the_rest(run: Run, pytester: pytest.Pytester) -> None:
    """What was not seen stays in the file."""
    run(PRICES, "--rudder-types-update", "-k", "whole")
    run('def test_a(rudder_events):\n    event("A", properties={"b": 1})', "--rudder-types-update")
    assert columns(pytester) == {"order_completed.total": "int", "a.b": "int"}


def test_a_broken_file_is_told(run: Run, pytester: pytest.Pytester) -> None:
    """By each test that would be compared with it; or at once, if it is to be written."""
    (pytester.path / "rudder-types.json").write_text("<<<<<<< HEAD\n")
    done = run(PRICES, "--show-capture=no")
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["rudder-types.json is not JSON: * at line 1, column 1; mend it, *"])
    done.stdout.no_fnmatch_line("*Traceback*")
    done = run(PRICES, "--rudder-types-update")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: rudder-types.json is not JSON: *"])


def test_events_of_the_data_plane_count(run: Run) -> None:
    """They know no line, but the test."""
    done = run(
        """
@pytest.mark.parametrize("total", [5, 24.95])
def test_paid(rudder_data_plane, total):
    handler = RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url)
    shop = lines(handler)
    event(properties={"total": total})
    handler.close()
    shop.removeHandler(handler)
"""
    )
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["test_app.py::test_paid: * since test_app.py::test_paid: *"])


def test_a_plans_types_come_first(run: Run, pytester: pytest.Pytester) -> None:
    """What breaks them fails; what they allow is told with its cure, and fails nothing."""

    def plan(kind: str) -> None:
        schema = {"properties": {"total": {"type": kind}}}
        document = {"events": [{"name": "Order Completed", "schema": schema}]}
        (pytester.path / "plan.json").write_text(json.dumps(document))

    pytester.makeini("[pytest]\nrudder_types = error\nrudder_types_plan = plan.json")
    plan("integer")
    done = run(PRICES, "--show-capture=no")
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines([f"  test_app.py:8 in *: * is int by *plan.json: {CUT}"])
    plan("number")
    done = run(PRICES)
    done.assert_outcomes(passed=2)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*; the plan allows both: have the column made as float before *"])
    (pytester.path / "plan.json").unlink()
    done = run(PRICES)
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*plan.json can't be read: No such file or directory"])


APART = """
import time

def meet(mine, other):
    # Each worker has one of the two tests, so both have to be there before either goes on.
    import pathlib
    pathlib.Path(mine).touch()
    while not pathlib.Path(other).exists():
        time.sleep(0.01)

def test_whole(rudder_events):
    meet("a", "b")
    event(properties={"total": 5})

def test_fraction(rudder_events):
    meet("b", "a")
    event(properties={"total": 24.95})
"""


def test_workers_are_compared_with_each_other(run: Run, pytester: pytest.Pytester) -> None:
    """By the controller, which fails the run, writes the file, and tells."""
    done = run(APART, "-n", "2", "-o", "rudder_types=error")
    done.assert_outcomes(passed=2)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(
        ["test_app.py:8 in test_*: properties.total is *order_completed.total*"]
    )
    for name in ("a", "b"):
        (pytester.path / name).unlink()
    done = run(APART, "-n", "2", "--rudder-types-update")
    done.assert_outcomes(passed=2)
    assert done.ret == 0
    assert columns(pytester) == {"order_completed.total": "float"}
    done.stdout.fnmatch_lines(["rudder-types.json: * new column*, 0 with another type"])


def test_each_worker_compares_with_the_file(run: Run, pytester: pytest.Pytester) -> None:
    """The test that brings the change fails, whichever worker has it."""
    text = '{"version": 1, "columns": {"order_completed.total": "int"}}'
    (pytester.path / "rudder-types.json").write_text(text)
    done = run(PRICES, "-n", "2")
    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*ERROR at teardown of test_fraction*"])
    assert (pytester.path / "rudder-types.json").read_text() == text


(GUIDE,) = (page for page in PAGES if page.name == "types.md")


def test_the_guide_shows_what_a_run_says(pytester: pytest.Pytester) -> None:
    """Its tests, the report at their end, the file, and a failure, word for word."""
    ((code,), (end, failure), (file,), (options,)) = (
        [block.code for block in blocks(GUIDE, language)]
        for language in ("python", "text", "json", "toml")
    )
    pytester.makepyfile(test_shop=code)

    def printed(*arguments: str) -> str:
        done = pytester.runpytest_inprocess(*OWN, "--show-capture=no", *arguments)
        return "\n".join(done.outlines)

    assert end.strip() in printed()
    printed("-k", "round", "--rudder-types-update")
    assert (pytester.path / "rudder-types.json").read_text() == file
    text = printed()
    assert " 1 error in " in text
    assert failure.strip() in text

    pytester.makepyprojecttoml(options)
    schema = {"properties": {"total": {"type": "number"}}}
    plan = {"events": [{"name": "Order Completed", "schema": schema}]}
    (pytester.path / "plan.json").write_text(json.dumps(plan))
    text = printed()
    assert "2 passed" in text
    assert " error" not in text
    assert "have the column made as float before the first event" in text
