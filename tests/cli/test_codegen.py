"""`rudder-logging codegen`: what the functions send, what they are called, and the command."""

from __future__ import annotations

import copy
import json
import logging
import random
import subprocess
import sys
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

import rudder_logging
from rudder_logging import Client, ConfigError, EventLogger
from rudder_logging.cli import main
from rudder_logging.cli.codegen.names import camel, snake
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.testing import CapturedEvents, capture_events

from ..conftest import WRITE_KEY
from ..each import each
from ..guides.pages import FOLDER, blocks
from .plans import SAAS
from .typed import EXAMPLE, ROOT, event, functions, loaded, tool, written

pytestmark = pytest.mark.filterwarnings("ignore::rudder_logging.WarehouseWarning")

SUBSCRIPTION = {
    "plan": "team",
    "seats": 3,
    "billing": {"kind": "card", "last4": "1234"},
    "cancelled_by": None,
}


# What is sent.


def test_what_is_given_is_sent_under_the_plans_names() -> None:
    """Every kind of argument, in Python's own types; the result is as the plan has it."""
    module = loaded(SAAS)
    with capture_events() as events:
        message_id = module.subscription_started(
            **SUBSCRIPTION,
            trial_ends_at=datetime(2026, 3, 1, tzinfo=timezone.utc),
            timestamp_=time(12, 30),
            class_="b2b",
            from_="ads",
            price=Decimal("9.90"),
            property_2fa=True,
            größe=4,
            date=date(2026, 3, 1),
            tags=("a", "b"),
            labels={"team": "blue"},
            raw=[1, {"a": None}],
            metadata={"a": ["b", None, {}]},
            source=7,
            device_id=UUID(int=5),
            discount=0.25,
            user_id="42",
            timestamp=datetime(2026, 2, 1, tzinfo=timezone.utc),
            message_id="m-1",
            context={"app": {"name": "web"}},
            integrations={"All": False},
        )
    (sent,) = events.conforms_to(SAAS)
    assert sent["event"] == "Subscription Started"
    assert sent["properties"] == {
        **SUBSCRIPTION,
        "currency": "EUR",
        "trial_ends_at": "2026-03-01T00:00:00+00:00",
        "timestamp": "12:30:00",
        "class": "b2b",
        "from": "ads",
        "$price": 9.9,
        "2fa": True,
        "Größe": 4,
        "date": "2026-03-01",
        "tags": ["a", "b"],
        "labels": {"team": "blue"},
        "raw": [1, {"a": None}],
        "metadata": {"a": ["b", None, {}]},
        "source": 7,
        "device_id": str(UUID(int=5)),
        "discount": 0.25,
    }
    assert (sent["messageId"], message_id) == ("m-1", "m-1")
    assert (sent["userId"], sent["integrations"]) == ("42", {"All": False})
    assert sent["timestamp"].startswith("2026-02-01")
    assert sent["context"]["app"] == {"name": "web"}


def test_what_is_left_out_is_not_sent() -> None:
    """None leaves a property out; where the plan allows null, None is null, and only then."""
    module = loaded(SAAS)
    needed = {**SUBSCRIPTION, "currency": "EUR"}
    with capture_events() as events:
        module.subscription_started(user_id="1", **SUBSCRIPTION)
        module.subscription_started(user_id="1", **SUBSCRIPTION, tags=None, from_=None)
        module.subscription_started(user_id="1", **SUBSCRIPTION, trial_ends_at=None, raw=None)
        module.subscription_started(user_id="1", **SUBSCRIPTION, trial_ends_at=module.NOT_SENT)
    sent = [one["properties"] for one in events.conforms_to(SAAS)]
    assert sent == [needed, needed, {**needed, "trial_ends_at": None, "raw": None}, needed]


def test_every_type_of_event() -> None:
    """A function each, with the fields of the type that the plan leaves open."""
    module = loaded(SAAS)
    with capture_events() as events:
        module.identify(user_id="1", email="a@example.com", address={"country": "DE"})
        module.group(user_id="1", group_id=7, seats=3)
        module.page_pricing(user_id="1", category="Marketing", name="Prices")
        module.screen(user_id="1", name="Home", more_properties={"dark": True})
        module.alias(user_id="1", previous_id="0")
        module.signed_out(user_id="1")
        module.folder_shared(user_id="1", tree={"name": "a"}, more_properties={"by": "mail"})
    events.conforms_to(SAAS)
    identify, group, page, screen, alias, signed_out, shared = events
    assert identify["traits"] == {"email": "a@example.com", "address": {"country": "DE"}}
    assert (group["groupId"], group["traits"]) == ("7", {"seats": 3})
    assert (page["name"], page["category"]) == ("Pricing", "Marketing")
    assert page["properties"] == {"name": "Prices"}
    assert (screen["name"], screen["properties"]) == ("Home", {"dark": True})
    assert (alias["type"], alias["previousId"]) == ("alias", "0")
    assert (signed_out["event"], signed_out.get("properties")) == ("Signed Out", None)
    assert shared["properties"] == {"by": "mail", "tree": {"name": "a"}}


def test_traits_are_found_where_rudderstack_has_them() -> None:
    """Its plans put an identify's traits at the root, or into the context."""
    for place in ({"traits": 0}, {"context": {"properties": {"traits": 0}}}):
        rule = json.loads(json.dumps({"properties": place}).replace("0", '{"required": ["email"]}'))
        module = loaded({"rules": {"events": [{"eventType": "identify", "rules": rule}]}})
        with capture_events() as events:
            module.identify(user_id="1", email="a@example.com")
        assert events.one()["traits"] == {"email": "a@example.com"}


def test_of_alternatives_what_all_of_them_need_is_required() -> None:
    """An event may be one of several mappings: what one of them needs can be left out."""
    kinds = [
        {"required": ["kind", "last4"], "properties": {"kind": {"const": "card"}, "last4": {}}},
        {"required": ["kind"], "properties": {"kind": {"const": "cash"}}},
    ]
    plan = {"events": [{"name": "Paid", "schema": {"type": "object", "oneOf": kinds}}]}
    module = loaded(plan)
    with capture_events() as events:
        module.paid(user_id="1", kind="cash")
        module.paid(user_id="1", kind="card", last4="1234")
        with pytest.raises(TypeError, match="kind"):
            module.paid(user_id="1")
    events.conforms_to(plan)


def test_the_call_is_an_ordinary_one(
    rudder_events: CapturedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    """`bind()` is merged in, caplog sees it at the caller's line, and what is wrong raises."""
    module = loaded(SAAS)
    caplog.set_level(logging.INFO)
    with rudder_logging.bind(user_id="42", properties={"team": "blue"}):
        module.folder_shared(tree={"name": "a"})
    assert rudder_events.one(user_id="42")["properties"] == {"team": "blue", "tree": {"name": "a"}}
    (record,) = caplog.records
    assert (record.name, record.message) == ("rudder", "Folder Shared")
    assert (record.filename, record.funcName) == (
        "test_codegen.py",
        "test_the_call_is_an_ordinary_one",
    )
    with rudder_events.expect_invalid("no id"), pytest.raises(ValueError, match="no id"):
        module.folder_shared(tree={"name": "a"})


def test_a_logger_or_a_client_takes_it(plane: LocalDataPlane) -> None:
    """By `logger=` for one call; by --logger for all of them."""
    module = loaded(SAAS, "shop.events")
    shop = EventLogger(logging.getLogger("other"), anonymous_id="a-1")
    with capture_events() as events:
        module.screen(user_id="1")
        module.screen(logger=shop)
    assert [one.logger_name for one in events] == ["shop.events", "other"]
    assert events[1]["anonymousId"] == "a-1"
    with Client(WRITE_KEY, plane.url) as client:
        module.screen(user_id="1", logger=client)
    assert [one["type"] for one in plane.events] == ["screen"]


# What things are called.


@each(
    ("name", "expected"),
    [
        ("Order Completed", "order_completed"),
        ("orderID", "order_id"),
        ("v2Beta", "v2_beta"),
        ("HTTPRequest sent", "http_request_sent"),
        ("  --Product/Viewed (v2) ", "product_viewed_v2"),
        ("class", "class_"),
        ("None", "none"),
        ("match", "match"),
        ("2FA enabled", "event_2fa_enabled"),
        ("_id", "id"),
        ("__class__", "class_"),
        ("注文完了", "注文完了"),
        ("x²", "x2"),
        ("İ", "i̇"),
        ("🎉", "event_1f389"),
        ("$", "event_24"),
        (" ", "event_20"),
    ],
)
def test_names_become_identifiers(name: str, expected: str) -> None:
    """In snake_case; a word of Python's gets an underscore, what can't begin a name a prefix."""
    assert snake(name, "event") == expected
    assert expected.isidentifier()
    assert camel(name).isidentifier()


def test_names_that_become_the_same_are_all_marked() -> None:
    """The mark follows from the name alone: what is added or moved renames nothing else."""
    events = [event(name, {}) for name in ("Order Completed", "order_completed", "Order Placed")]
    first, second = written(events), written(events[::-1])
    assert first.text == second.text
    named = functions(loaded(events))
    assert set(named) == {"order_completed_7b09", "order_completed_98fd", "order_placed"}
    with capture_events() as sent:
        for function in named.values():
            function(user_id="1")
    assert {one["event"] for one in sent} == {one["name"] for one in events}
    (warning,) = first.warnings
    assert warning.startswith("events whose functions would have the same name: ")
    both = event("A", {"orderId": {"type": "string"}, "order_id": {"type": "string"}})
    assert "'orderId' is 'order_id_1205'" in written([both]).warnings[0]


@each("name", [*rudder_logging.CallFields.__annotations__, "logger", "common", "more_properties"])
def test_a_property_does_not_take_the_place_of_a_calls_own_argument(name: str) -> None:
    """It gets an underscore, as words of Python's do."""
    plan = [event("A", {name: {"type": "string"}}, required=[name], additionalProperties=True)]
    with capture_events() as events:
        loaded(plan).a(**{f"{name}_": "x", "user_id": "1"})
    assert events.one()["properties"] == {name: "x"}


@each("name", ["date", "str", "int", "Any", "Mapping", "logging", "Sequence", "not sent", "UUID"])
def test_an_event_may_have_the_name_of_a_type(name: str) -> None:
    """The module still finds its types, and a nested property of that name its own."""
    inner = {"type": "object", "properties": {name: {"type": "string", "format": "date"}}}
    plan = [event(name, {"x": inner, name: {"type": "string", "format": "uuid"}})]
    module = loaded(plan)
    (function,) = functions(module).values()
    with capture_events() as events:
        function(x={name: date(2026, 1, 1)}, user_id="1")
    assert events.one(event=name)["properties"] == {"x": {name: "2026-01-01"}}


def test_equal_definitions_are_one_type() -> None:
    """RudderStack repeats a custom type in each event; those that differ are told apart."""
    one = {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}
    other = {"type": "object", "properties": {"name": {"type": "string"}}}
    schemas = [
        {"properties": {"p": {"$ref": "#/$defs/product"}}, "$defs": {"product": product}}
        for product in (one, one, other)
    ]
    plan = [{"name": f"E{number}", "schema": schema} for number, schema in enumerate(schemas)]
    text = written(plan).text
    assert text.count("(TypedDict):") == 2
    assert text.count("p: Product | None") == 2
    assert text.count("p: E2P | None") == 1


# Texts.


def test_the_docstring_has_the_plans_words() -> None:
    """Descriptions and rules, whatever characters they have."""
    doc = loaded(SAAS).subscription_started.__doc__
    assert doc.startswith('A trial became a "paid" plan. Sales counts on it \\o/.\n')
    assert "seats: At least 1.\n" in doc
    assert 'price: More than 0. Sent as "$price".\n' in doc
    assert "discount: One of 0.1, 0.25, 0.5.\n" in doc
    nasty = {"name": '"""\\', "description": '"""\x00\\ \ud800 "', "schema": {"properties": {}}}
    (function,) = functions(loaded([nasty])).values()
    with capture_events() as events:
        function(user_id="1")
    assert events.one()["event"] == '"""\\'


def test_the_same_plan_makes_the_same_module() -> None:
    """Whatever the order of its entries, when it was exported, and the process."""
    plan = json.loads((EXAMPLE / "plan.json").read_text())
    other = copy.deepcopy(plan)
    other["updatedAt"] = "2027-01-01T00:00:00.000Z"
    random.Random(1).shuffle(other["rules"]["events"])
    assert written(plan).text == written(other).text
    script = (
        "import sys, json; from rudder_logging.cli import main; "
        f"sys.exit(main(['codegen', {str(EXAMPLE / 'plan.json')!r}]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
            timeout=100,
            cwd=ROOT,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {(EXAMPLE / "shop_events.py").read_bytes()}


def test_what_no_value_fits_is_told() -> None:
    """A property that is required, and can't be."""
    with pytest.raises(ConfigError, match=r"track 'A': properties\.b\.c is required, and no value"):
        written([event("A", {"b": {"required": ["c"], "properties": {"c": False}}})])


# The command.


def test_the_file_is_written_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """-o writes, --check says if the plan would write something else, with a short diff."""
    plan, output = tmp_path / "plan.json", tmp_path / "events.py"
    plan.write_text(json.dumps(SAAS))
    words = ["codegen", str(plan), "-o", str(output)]
    assert main([*words, "--check"]) == ExitCode.FAILED
    assert "does not exist; write it by: rudder-logging codegen" in capsys.readouterr().err
    assert main(words) == ExitCode.OK
    assert output.read_text() == written(SAAS).text
    before = output.stat()
    assert main([*words, "--check"]) == ExitCode.OK
    plan.write_text(json.dumps(SAAS).replace('"team"', '"teams"'))
    capsys.readouterr()
    assert main([*words, "--check"]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert '+    plan: Literal["teams", "business", "enterprise"],\n' in out
    assert len(out.splitlines()) < 45
    assert f"{output} is out of date" in err
    assert output.stat() == before


def test_a_file_that_a_formatter_has_changed_is_up_to_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what the code means counts: a team's formatter may have its own line length."""
    output = tmp_path / "events.py"
    text = (EXAMPLE / "shop_events.py").read_text()
    words = ["codegen", str(EXAMPLE / "plan.json"), "-o", str(output), "--check"]
    output.write_text(text)
    pytest.importorskip("ruff", reason="the extra dev has it")
    assert not tool("ruff", "format", "--isolated", "--line-length=50", str(output), cwd=tmp_path)
    assert output.read_text() != text
    assert main(words) == ExitCode.OK
    output.write_text(text.replace("revenue=", "revenues="))
    output.write_text(text.replace('"orderId": order_id', '"order_id": order_id'))
    assert main(words) == ExitCode.FAILED
    output.write_text("def (")
    assert main(words) == ExitCode.FAILED
    capsys.readouterr()


def test_stdout_has_the_module_and_stderr_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without -o."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(SAAS))
    assert main(["codegen", str(plan), "--logger", "shop"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out == written(SAAS, "shop").text
    assert '_events: Final = EventLogger(logging.getLogger("shop"))' in out
    assert err.startswith("Warning: track 'orderId Seen': properties whose arguments")


@each(
    ("content", "words", "told"),
    [
        ("{", (), "is not JSON"),
        ('{"events": []}', (), "is empty"),
        (None, (), "can't be read"),
        ('[{"name": "A"}]', ("--check",), "--check needs the file to look at; give it with -o"),
        ('[{"name": "A"}]', ("-o", "/nowhere/events.py"), "/nowhere/events.py can't be written"),
        ('[{"name": "A"}]', ("-o", "/", "--check"), "/ can't be read"),
        (
            '[{"schema": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}}]',
            (),
            "leads to itself",
        ),
    ],
)
def test_what_is_wrong_is_told(
    content: str | None,
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, with exit code 2."""
    plan = tmp_path / "plan.json"
    plan.unlink(missing_ok=True)
    if content is not None:
        plan.write_text(content)
    assert main(["codegen", str(plan), *words]) == ExitCode.BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


# The example.


def test_the_guide_shows_the_example() -> None:
    """Its properties are the plan's. Its Python is the example's, or `test_blocks_run` fails."""
    (shown,) = blocks(FOLDER / "typed-events.md", "json")
    plan = json.loads((EXAMPLE / "plan.json").read_text())
    rules = plan["rules"]["events"][0]["rules"]
    assert json.loads(shown.code) == rules["properties"]["properties"]["properties"]
