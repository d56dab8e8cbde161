"""What `codegen` writes, before type checkers and formatters; and whatever the plan."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rudder_logging.checks.plan import TrackingPlan
from rudder_logging.testing import capture_events

from .plans import SAAS
from .typed import EXAMPLE, ROOT, functions, loaded, tool, written

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::rudder_logging.WarehouseWarning"),
]

RIGHT = """
from datetime import date, datetime, timezone
from decimal import Decimal

import rudder_logging

from saas import *

items: list[Folder] = [{"name": "b"}]
card: Card = {"kind": "card", "last4": "1234"}
subscription_started(plan="team", seats=3, billing=card, cancelled_by=None, raw=object())
subscription_started(
    plan="business",
    seats=3,
    billing={"kind": "invoice", "address": {"country": "DE", "zip-code": "1", "class": "home"}},
    cancelled_by="user",
    currency="EUR",
    trial_ends_at=datetime.now(timezone.utc),
    price=Decimal(5),
    date=date.today(),
    tags=["a"],
    labels={"a": "b"},
    metadata={"a": ["b", None, {"c": "d"}]},
    user_id=5,
    logger=rudder_logging.EventLogger(__import__("logging").getLogger("a")),
)
folder_shared(tree={"name": "a", "items": items, "date": "2026-01-01"}, user_id="1")
identify(email="a@example.com", address={"country": "DE"}, anonymous_id="a")
group(group_id=1, seats=2)
"""
NEEDED = 'plan="team", seats=3, cancelled_by=None, billing={"kind": "card", "last4": "1"}'
WRONG = [
    'identify(email="a", usr_id="1")',
    "identify()",
    "identify(email=5)",
    'identify("a@example.com")',
    'identify(email="a", age="5")',
    'identify(email="a", address={"country": "DE", "town": "Bonn"})',
    'identify(email="a", address={"zip-code": "1"})',
    'identify(email="a", address={"country": "DE", "class": "shop"})',
    'group(group_id=1, seats=2, context="web")',
    'page_pricing(category="Sales")',
    f"subscription_started({NEEDED}, currency='USD')",
    f"subscription_started({NEEDED}, tags='abc')",
    f"subscription_started({NEEDED}, device_id=5)",
    f"subscription_started({NEEDED}, labels={{'a': 5}})",
    f"subscription_started({NEEDED}, integration_status_of_the_billing_provider='gone')",
    f"subscription_started({NEEDED}, metadata={{'a': 5}})",
    'subscription_started(plan="free", seats=3, cancelled_by=None, billing=card)',
    'subscription_started(plan="team", seats=1.5, cancelled_by=None, billing=card)',
    'subscription_started(plan="team", seats=3, cancelled_by=None, billing={"kind": "cash"})',
    'folder_shared(tree={"name": "a", "items": [{"nam": "b"}]})',
    'alias(previous_id="1", traits={})',
]
CONFIG = {"typeCheckingMode": "strict", "pythonVersion": "3.10", "include": ["."]}


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy has read once, of this package and others."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, mypy_cache: Path) -> Path:
    """A project that is as strict as checkers can be, and knows this package."""
    (tmp_path / ".cache").symlink_to(mypy_cache)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({**CONFIG, "extraPaths": [str(ROOT)]}))
    return tmp_path


def mypy(folder: Path) -> str:
    """Its complaints about all files of a folder; empty: it has none."""
    pytest.importorskip("mypy", reason="the extra dev has it")
    words = ("--strict", "--python-version=3.10", "--no-error-summary", "--cache-dir=.cache")
    return tool("mypy", *words, *sorted(path.name for path in folder.glob("*.py")), cwd=folder)


def pyright(folder: Path) -> str:
    """Likewise, of the pyright that can be had as a package, with Node in it."""
    pytest.importorskip("basedpyright", reason="there is none for this platform")
    import sys

    return tool("basedpyright", "--pythonpath", sys.executable, cwd=folder)


def formatter(folder: Path) -> str:
    """A diff of what it would lay out anew; empty: nothing."""
    pytest.importorskip("ruff", reason="the extra dev has it")
    files = sorted(path.name for path in folder.glob("events*.py"))
    return tool("ruff", "format", "--isolated", "--diff", *files, cwd=folder)


@pytest.mark.parametrize("check", [mypy, pyright])
def test_checkers_find_wrong_calls_and_nothing_else(folder: Path, check: Any) -> None:
    """A call that the plan forbids is an error of its line; modules and right calls have none."""
    (folder / "saas.py").write_text(written(SAAS).text)
    (folder / "shop_events.py").write_text((EXAMPLE / "shop_events.py").read_text())
    (folder / "right.py").write_text(RIGHT.replace("import *", f"import {names(RIGHT)}"))
    head = [f"from saas import Card, {names(str(WRONG))}", "card: Card"]
    (folder / "wrong.py").write_text("\n".join([*head, *WRONG, ""]))
    errors = [line for line in check(folder).splitlines() if "error:" in line]
    numbers = {int(line.partition("wrong.py:")[2].partition(":")[0] or 0) for line in errors}
    assert numbers == set(range(3, len(WRONG) + 3))


def names(code: str) -> str:
    """Names of the module that a code uses."""
    known = [f"{name}(" for name in functions(loaded(SAAS))] + ["Card ", "Folder]"]
    return ", ".join(name.strip("( ]") for name in known if name in code)


def test_formatters_leave_it() -> None:
    """The formatter changes nothing, at the default line length and at a longer one."""
    pytest.importorskip("ruff", reason="the extra dev has it")
    assert tool("ruff", "format", "--isolated", "--check", "shop_events.py", cwd=EXAMPLE) == ""


# Whatever the plan.

ODD_KEYS = """sku orderId order_id Product-Name $set class from date str int items keys _id __type
user_id timestamp logger Größe 2fa 価格 None self name category"""
KEYS = st.one_of(
    st.sampled_from(ODD_KEYS.split()),
    st.text(min_size=1, max_size=40),
    st.text(string.ascii_lowercase + "_", min_size=30, max_size=70),
)
SCALARS: st.SearchStrategy[tuple[Any, Any]] = st.one_of(
    st.text(max_size=5).map(lambda v: ({"type": "string"}, v)),
    st.integers(-(2**53), 2**53).map(lambda v: ({"type": "integer"}, v)),
    st.floats(-1e9, 1e9).map(lambda v: ({"type": "number"}, v)),
    st.booleans().map(lambda v: ({"type": "boolean"}, v)),
    st.just(({"type": "null"}, None)),
    st.just(({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z")),
    st.lists(
        st.one_of(st.text(max_size=30), st.integers(-9, 9), st.booleans(), st.none()),
        min_size=1,
        max_size=6,
    ).flatmap(lambda values: st.sampled_from(values).map(lambda v: ({"enum": values}, v))),
    st.sampled_from(["EUR", 5, True]).map(lambda v: ({"const": v}, v)),
    st.text(max_size=5).map(lambda v: ({"type": ["string", "null"]}, v or None)),
    st.integers(0, 9).map(lambda v: ({}, v)),
)


@st.composite
def objects(draw: st.DrawFn, parts: Any) -> tuple[Any, Any]:
    """The schema of an object, and a value that fits."""
    keys = draw(st.lists(KEYS, max_size=5, unique=True))
    drawn = {key: draw(parts) for key in keys}
    required = draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    given_too = draw(st.sets(st.sampled_from(keys))) if keys else set()
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: part for key, (part, _v) in drawn.items()},
    }
    if required:
        schema = {**schema, "required": required}
    if draw(st.booleans()):
        schema = {**schema, "additionalProperties": False}
    return schema, {
        key: value for key, (_p, value) in drawn.items() if key in required or key in given_too
    }


def deeper(parts: Any) -> Any:
    """Lists, objects and alternatives of what there is."""
    return st.one_of(
        objects(parts),
        parts.map(lambda one: ({"type": "array", "items": one[0]}, [one[1]])),
        st.tuples(parts, parts).map(lambda two: ({"anyOf": [two[0][0], two[1][0]]}, two[0][1])),
        parts.map(lambda one: ({"allOf": [one[0], {"description": 'It\'s "x"\\'}]}, one[1])),
    )


ANY_EVENT = objects(st.recursive(SCALARS, deeper, max_leaves=8))
NAMES = st.text(min_size=1, max_size=30).filter(str.strip)


@cache
def modules_of_any_plan() -> list[tuple[str, str]]:
    """Modules of many plans, and calls; each has sent what was given, as its plan wants it."""
    modules: list[tuple[str, str]] = []

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(name=NAMES, drawn=ANY_EVENT)
    def run(name: str, drawn: tuple[Any, Any]) -> None:
        schema, value = drawn
        plan = {"events": [{"name": name, "schema": schema}]}
        one = written(plan)
        assert written(json.loads(json.dumps(plan))) == one
        module = loaded(plan)
        ((function_name, function),) = functions(module).items()
        arguments = dict(by_argument(one.text, value))
        with capture_events() as events:
            function(**arguments, user_id="1")
        sent = json.loads(json.dumps(events.one()))
        constant = {
            key: part.get("const", part.get("enum", [0])[0])
            for key, part in schema["properties"].items()
            if key in sent["properties"] and key not in value
        }
        assert sent["properties"] == {**value, **constant}
        assert TrackingPlan(plan).verdict(sent) is None
        call = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        modules.append((one.text, f"import {function_name}\n{function_name}({call})\n"))

    run()
    return modules


def test_any_plan() -> None:
    """The module compiles, is the same again, sends what is given, and conforms to its plan."""
    assert modules_of_any_plan()


@pytest.mark.parametrize("check", [mypy, pyright, formatter])
def test_tools_are_content_with_any_plan(folder: Path, check: Any) -> None:
    """Strict checkers and the formatter, with the modules and the calls."""
    for number, (text, call) in enumerate(modules_of_any_plan()):
        (folder / f"events{number}.py").write_text(text)
        (folder / f"use{number}.py").write_text(f"from events{number} {call}")
    assert check(folder) == ""


def by_argument(text: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The arguments by which a module takes properties, as its dicts say."""
    import ast

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict):
            for key, one in zip(node.keys, node.values, strict=True):
                name = key.value if isinstance(key, ast.Constant) else None
                if isinstance(name, str) and name in value and isinstance(one, ast.Name):
                    yield one.id, value[name]
