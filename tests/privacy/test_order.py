"""Rule 1's order, by events that give each stage something to do; and the ledger balances."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rudder_logging import InvalidEventError, Privacy, RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.privacy.hashing import Hasher
from rudder_logging.privacy.stages import REASONS, Stages
from rudder_logging.sinks.nowhere import Nowhere

from ..conftest import MakeHandler, Wire, examples

SECRET = "s3cr3t-value"
OPTIONS: dict[str, Any] = {
    "suppressed": ["gone"],
    "deny_events": ["Denied*"],
    "allow": {"*": ["password", "kept", "address"]},
    "sample": {"*Sampled": 0.0},
    "rate": {"*": "2/day"},
    "hash": ["ids"],
    "hmac_key": "k",
    "ip": "mask",
}
EVENTS = [
    ("gone", "Denied Sampled"),
    ("unknown", "Denied Sampled"),
    ("jane", "Denied Sampled"),
    ("jane", "Sampled"),
    ("jane", "Order"),
    ("jack", "Order"),
    ("jane", "Sampled"),
    ("jane", "Order"),
]
REASONS_IN_ORDER = ["suppressed", "consent", "denied", "sampled", "sampled", "rate_limited"]

Step = Callable[[dict[str, Any], Hasher], "str | None"]


class Scene:
    """The app's functions, and what they were shown."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def privacy(self) -> dict[str, Any]:
        """All options, with a function of the app's among them."""

        def allowed(event: dict[str, Any]) -> list[str] | None:
            self.seen.append(("consent", event["userId"], sorted(event["properties"])))
            return None if event["userId"] == "unknown" else ["a"]

        policy = {"provider": "custom", "categories": ["a", "b"], "on_unknown": "drop"}
        return {**OPTIONS, "consent": {**policy, "allowed": allowed}}

    def hook(self, event: dict[str, Any]) -> dict[str, Any]:
        """The app's `before_send`: it is shown what may leave, and adds what may not."""
        self.seen.append(("hook", event["userId"], json.dumps(event["properties"])))
        event["properties"]["token"] = SECRET
        event["properties"]["user_id"] = "jane"
        event["context"]["ip"] = "203.0.113.77"
        return event


def properties() -> dict[str, Any]:
    """Those of each event."""
    return {"password": SECRET, "kept": 1, "other": 2, "address": {"token": SECRET}}


def played(swapped: int | None = None) -> list[Any]:
    """What becomes of the events, stage by stage, and how many hashes that takes.

    Args:
        swapped: The stage that changes places with the one behind it.
    """
    scene = Scene()
    made = Stages(Privacy(**scene.privacy()))
    own: list[Any] = made._own
    consent, choice, paths, samples, rates = own

    def suppress(event: dict[str, Any], _hashed: Hasher) -> str | None:
        return "suppressed" if made._is_suppressed(event) else None

    def named(stage: Any) -> Step:
        return lambda event, _hashed: stage(event, event["event"])

    def choose(event: dict[str, Any], _hashed: Hasher) -> Any:
        return choice(event, event["event"]) or paths(event, event["event"])

    def hook(event: dict[str, Any], _hashed: Hasher) -> None:
        scene.hook(event)

    steps: list[Step] = [
        suppress,
        named(consent),
        choose,
        named(samples),
        named(rates),
        made._redact,
        hook,
        made._redact,
    ]
    if swapped is not None:
        steps[swapped : swapped + 2] = steps[swapped + 1], steps[swapped]
    outcomes: list[Any] = []
    for user, name in EVENTS:
        event = {"type": "track", "event": name, "userId": user, "properties": properties()}
        event["context"] = {"ip": "203.0.113.77"}
        hashed = made.redaction.hasher()
        reasons = (step(event, hashed) for step in steps)
        reason = next(filter(None, reasons), None)
        outcomes.append((reason or json.dumps(event, sort_keys=True), len(hashed._made)))
    return [outcomes, scene.seen]


def test_events_arrive_as_that_order_has_them(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """Suppression, consent, allow and deny, sample, rate, redact and hash, the hook, redact."""
    scene, drops = Scene(), list[Any]()
    handler = make_handler(
        privacy=scene.privacy(),
        before_send=scene.hook,
        on_drop=lambda message, reason: drops.append((reason, sorted(message))),
    )
    logger = wire(handler)
    for user, name in EVENTS:
        fields = {"user_id": user, "properties": properties(), "context": {"ip": "203.0.113.77"}}
        logger.info(name, extra={"rudder": fields})
    assert handler.flush()
    outcomes, seen = played()
    assert scene.seen == seen
    told = ["event", "messageId", "type"]
    assert drops == [(reason, told) for reason in REASONS_IN_ORDER]
    expected = [json.loads(left) for left, _ in outcomes if left not in REASONS]
    assert [reason for reason, _ in outcomes if reason in REASONS] == REASONS_IN_ORDER
    for arrived, one in zip(plane.events, expected, strict=True):
        assert {key: arrived[key] for key in ("event", "userId", "properties")} == {
            key: one[key] for key in ("event", "userId", "properties")
        }
        assert arrived["context"]["ip"] == one["context"]["ip"] == "203.0.113.0"
        assert arrived["context"]["consentManagement"] == one["context"]["consentManagement"]
    assert SECRET not in json.dumps(plane.events)


@pytest.mark.parametrize("stage", range(7))
def test_no_two_neighbours_may_change_places(stage: int) -> None:
    """The events above tell each swap from the order."""
    assert played(stage) != played()


# The ledger, whatever is asked for.

NAMES = ["Order", "Page", "Cart"]
USERS = ["jane", "jo", "jack"]


def fails(_given: Any) -> Any:
    """A function of the app's that has a bug."""
    raise LookupError(SECRET)


def some(choices: list[str]) -> st.SearchStrategy[list[str]]:
    """A few of them."""
    return st.lists(st.sampled_from(choices), max_size=2)


POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "redact": some(["password", "a"]),
        "action": st.sampled_from(["remove", "mask"]),
        "patterns": some(["email", "x+"]),
        "allow_events": some([*NAMES, "identify", "*"]),
        "deny_events": some([*NAMES, "C*"]),
        "allow": st.dictionaries(st.sampled_from(NAMES), some(["a", "b.c", "d[].e"])),
        "sample": st.dictionaries(st.sampled_from([*NAMES, "*"]), st.floats(0, 1)),
        "rate": st.dictionaries(
            st.sampled_from([*NAMES, "*"]), st.sampled_from(["0/s", "1/day", "3/day"])
        ),
        "ip": st.sampled_from(["keep", "mask", "drop"]),
        "geo": st.booleans(),
        "consent": st.fixed_dictionaries(
            {"provider": st.just("ketch"), "categories": some(["x", "y"])},
            optional={
                "allowed": st.one_of(some(["x"]), st.just(fails), st.just(lambda _: None)),
                "on_unknown": st.sampled_from(["deny", "drop"]),
            },
        ),
        "suppressed": st.one_of(some(USERS), st.just(fails), st.just(lambda one: one == "jo")),
    },
)
FIELDS = st.fixed_dictionaries(
    {"user_id": st.sampled_from([*USERS, ""])},  # the last is refused
    optional={
        "type": st.sampled_from(["track", "identify", "page", "nonsense"]),
        "event": st.sampled_from(NAMES),
        "properties": st.dictionaries(st.sampled_from("abd"), st.sampled_from([1, "x@y.zz", [{}]])),
        "context": st.just({"ip": "203.0.113.7"}),
    },
)
HOOKS = st.sampled_from([None, lambda event: event, lambda _: None, fails, lambda _: 7])


@settings(max_examples=examples(0.6))
@given(policy=POLICIES, fields=st.lists(FIELDS, min_size=1, max_size=6), hook=HOOKS)
def test_the_ledger_balances_whatever_is_asked_for(policy: Any, fields: Any, hook: Any) -> None:
    """Each event is delivered, or counted with its reason, or refused at the call."""
    told: list[str] = []
    handler = RudderHandler(
        "k",
        "http://127.0.0.1:9",
        sink=Nowhere(),
        privacy=policy,
        before_send=hook,
        on_drop=lambda _event, reason: told.append(reason),
    )
    raised = 0
    for one in fields:
        try:
            handler.accept(one, "line", 0.0)
        except InvalidEventError:  # noqa: PERF203 - six at most
            raised += 1
    assert handler.flush(60)
    handler.close()
    stats = handler.stats()
    assert stats.accepted == stats.delivered + sum(stats.dropped.values()) + stats.refused
    assert (stats.pending, stats.invalid) == (0, raised)
    assert stats.accepted + stats.invalid == len(fields)
    assert set(stats.dropped) <= REASONS | {"before_send", "before_send_failed"}
    assert sorted(told) == sorted(chain.from_iterable([r] * n for r, n in stats.dropped.items()))


def test_a_message_that_passes_is_whole() -> None:
    """It lacks its closing brace alone, as all that is queued."""
    made = Stages(Privacy(geo=False))
    event = orjson.dumps({"type": "track", "event": "e", "userId": "u"})[:-1]
    passed = made.passed(event, made.redaction.hasher())
    assert isinstance(passed, bytes)
    assert orjson.loads(passed + b"}")["context"] == {"geo": {}}
