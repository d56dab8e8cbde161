"""`Privacy` and its parts: checked, whoever says them, and printed without secrets."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from rudder_logging import ConfigError, UnknownOptionError
from rudder_logging.privacy.keys import DEFAULT_KEYS
from rudder_logging.privacy.limits import Rate
from rudder_logging.privacy.options import ConsentPolicy, Privacy, Suppression, privacy_of

from ..each import each

WHOLE: dict[str, Any] = {
    "redact": ["password", "internal_note"],
    "action": "hmac",
    "hmac_key": "the app's secret",
    "hash": ["ids"],
    "patterns": [r"\d{16}"],
    "allow_events": ["Order *"],
    "deny_events": ["identify"],
    "allow": {"Order Completed": ["revenue", "products[].sku"]},
    "sample": {"Page Viewed": "0.1", "*": 1},
    "salt": "grain",
    "rate": {"*": "1000/s", "Page Viewed": "60 / min", "x": 5},
    "ip": "mask",
    "geo": False,
    "consent": {"provider": "oneTrust", "categories": ["C0001"], "on_unknown": "drop"},
    "suppressed": ["jane"],
}


def test_json_can_say_all_of_it() -> None:
    """Text, numbers and mappings do for each option."""
    privacy = privacy_of(json.dumps(WHOLE))
    assert privacy == privacy_of(WHOLE) == Privacy(**WHOLE)
    assert privacy.redact == {"password", "internal_note"}
    assert privacy.hmac_key == b"the app's secret"
    assert privacy.sample == {"Page Viewed": 0.1, "*": 1.0}
    assert privacy.rate == {"*": Rate(1000, 1), "Page Viewed": Rate(60, 60), "x": Rate(5, 1)}
    policy = ConsentPolicy(provider="oneTrust", categories=["C0001"], on_unknown="drop")
    assert privacy.consent == policy
    assert privacy.suppressed == Suppression(["jane"])
    assert Privacy().redact == DEFAULT_KEYS
    assert set(WHOLE) == set(Privacy.__dataclass_fields__)


def test_it_is_printed_without_secrets_and_copied_whole() -> None:
    """Neither the key, nor the salt, nor anybody's id."""
    privacy = Privacy(**WHOLE)
    for secret in ("secret", "grain", "jane"):
        assert secret not in repr(privacy)
    assert "hmac_key=..." in repr(privacy)
    assert repr(Privacy()) == "Privacy()"
    assert copy.deepcopy(privacy) == privacy == pickle.loads(pickle.dumps(privacy))
    assert hash(privacy) == hash(Privacy(**WHOLE))


def test_it_does_not_change() -> None:
    """Nor do its mappings."""
    privacy = Privacy(**WHOLE)
    with pytest.raises(AttributeError):
        privacy.action = "mask"  # type: ignore[misc]
    with pytest.raises(TypeError):
        privacy.rate["*"] = 1  # type: ignore[index]


@each(
    ("given", "words"),
    [
        ({"redct": []}, "no option is named 'redct'; did you mean 'redact'"),
        ({"consent": {"categories": [], "provder": "x"}}, "did you mean 'provider'"),
    ],
)
def test_unknown_names_are_errors(given: dict[str, Any], words: str) -> None:
    """They name the nearest."""
    for make in (privacy_of, lambda given: Privacy(**given), lambda g: privacy_of(json.dumps(g))):
        with pytest.raises(UnknownOptionError, match=words):
            make(given)


@each(
    ("given", "words"),
    [
        ({"redact": "password"}, "'redact' must be a list of names, not str"),
        ({"redact": ["", "a"]}, "one is none"),
        ({"action": "erase"}, "must be one of remove, mask, hmac"),
        ({"action": "hmac"}, "'hmac_key' is missing"),
        ({"hash": ["ids"]}, "'hmac_key' is missing"),
        ({"hmac_key": ""}, "must be a secret"),
        ({"hmac_key": 7}, "must be a secret"),
        ({"patterns": ["("]}, "no regular expression"),
        ({"allow": {"a": ["b..c"]}}, "'allow' of 'a' must be a list of paths"),
        ({"allow": ["a"]}, "must be a mapping by event"),
        ({"sample": {"a": 1.1}}, "must be a number from 0.0 to 1.0"),
        ({"sample": {"a": -0.1}}, "must be a number from 0.0 to 1.0"),
        ({"sample": {"a": "nan"}}, "must be a number from 0.0 to 1.0"),
        ({"sample": {"a": True}}, "must be a number from 0.0 to 1.0"),
        ({"rate": {"a": "1000"}}, "must be like 1000/s"),
        ({"rate": {"a": "1/week"}}, "must be like 1000/s"),
        ({"rate": {"a": Rate(1, 0)}}, "in more seconds than none"),
        ({"ip": "hide"}, "must be one of keep, mask, drop"),
        ({"geo": "perhaps"}, "must be true or false"),
        ({"consent": {"categories": ["a"]}}, "'provider' is missing"),
        ({"consent": {"provider": "oneTrust"}}, "'categories' is missing"),
        ({"consent": {"provider": "OneTrust", "categories": ["a"]}}, "must be one of oneTrust"),
        ({"consent": "oneTrust"}, "must be a mapping of options"),
        ({"suppressed": "/no/such/file"}, "does not exist"),
    ],
)
def test_what_is_malformed_is_an_error(given: dict[str, Any], words: str) -> None:
    """At once, with the option's name and the cure."""
    with pytest.raises(ConfigError, match=words):
        privacy_of(given)


def test_default_keys_may_be_added_to_by_name() -> None:
    """JSON has no sets to add to."""
    privacy = privacy_of('{"redact": ["DEFAULT_KEYS", "note"]}')
    assert privacy.redact == DEFAULT_KEYS | {"note"}
    assert privacy_of('{"redact": ["note"]}').redact == {"note"}


@each("given", [7, "no json", "[1]", None, ["redact"]])
def test_what_is_no_privacy_is_refused(given: Any) -> None:
    """With what it may be."""
    with pytest.raises(ValueError, match="must be a Privacy"):
        privacy_of(given)


def test_a_secret_is_in_no_error() -> None:
    """Not even in one about it."""
    with pytest.raises(ConfigError) as caught:
        Privacy(hmac_key=["very secret"])  # type: ignore[arg-type]
    assert "very" not in str(caught.value)


def test_functions_may_be_named() -> None:
    """By module and name, as JSON has to."""
    policy = ConsentPolicy(provider="custom", categories=["a"], allowed="os.path:basename")
    assert callable(policy.allowed)
    assert callable(Suppression("os.path:exists").whom)
    with pytest.raises(ConfigError, match="module:name"):
        ConsentPolicy(provider="custom", categories=["a"], allowed="basename")
