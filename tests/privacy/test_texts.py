"""Named values within texts: queries, and what JSON and Python write of objects."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rudder_logging.privacy.keys import DEFAULT_KEYS, Names
from rudder_logging.privacy.redaction import Redaction
from rudder_logging.privacy.texts import Texts

from ..each import each

SECRET = "s3cr3t"


def removed(text: str) -> str:
    """The text without named values and their names."""
    return Texts(Names(DEFAULT_KEYS)).redacted(text, lambda _name, _value: None)


def masked(text: str) -> str:
    """The text with a mask in the place of each."""
    return Texts(Names(DEFAULT_KEYS)).redacted(text, lambda _name, _value: "***")


@dataclasses.dataclass
class Login:
    """An object that an app puts into a text."""

    password: Any
    name: str = "jo"


@each(
    ("text", "without", "with_mask"),
    [
        # Queries, in all that a URL can do.
        ("/?user[password]=x&b=2", "/?b=2", "/?user[password]=***&b=2"),
        ("/?user%5Bpassword%5D=x&b=2", "/?b=2", "/?user%5Bpassword%5D=***&b=2"),
        ("/?tok%2565n=x&b=2", "/?b=2", "/?tok%2565n=***&b=2"),
        ("/reset/token=x/y#b", "/reset/#b", "/reset/token=***#b"),
        ("a=1&amp;token=x", "a=1&amp;", "a=1&amp;token=***"),
        ("/?token=it's&b=2", "/?b=2", "/?token=***&b=2"),
        ("a|token=x", "a|", "a|token=***"),
        ("x\x00token=x", "x\x00", "x\x00token=***"),
        (
            f"/?next={quote_plus(quote_plus('/?token=x&b=2'))}",
            f"/?next={quote_plus(quote_plus('/?b=2'))}",
            f"/?next={quote_plus(quote_plus('/?token=***&b=2'))}",
        ),
        (quote_plus("/?token=x&b=2"), quote_plus("/?b=2"), quote_plus("/?token=***&b=2")),
        (
            f"/?state={quote_plus(json.dumps({'token': 'x', 'b': 2}))}",
            f"/?state={quote_plus(json.dumps({'b': 2}))}",
            f"/?state={quote_plus(json.dumps({'token': '***', 'b': 2}))}",
        ),
        ("https://jo:x@h/a", "https://jo@h/a", "https://jo:***@h/a"),
        ("postgres://jo:p%40x@h:5432/db", "postgres://jo@h:5432/db", "postgres://jo:***@h:5432/db"),
        # What JSON and Python write.
        ('{"token": "x", "b": 2}', '{"b": 2}', '{"token": "***", "b": 2}'),
        ('{"b": 2, "token": "x"}', '{"b": 2}', '{"b": 2, "token": "***"}'),
        ('{"token":"x\\"y","b":2}', '{"b":2}', '{"token":"***","b":2}'),
        ('{"pin": 1, "cvv": 12}', '{"pin": 1}', '{"pin": 1, "cvv": "***"}'),
        ('{"token": {"a": ["x", "}"]}, "b": 2}', '{"b": 2}', '{"token": "***", "b": 2}'),
        ('{"to\\u006ben": "x"}', "{}", '{"to\\u006ben": "***"}'),
        ("{'token': b'x', 'b': 2}", "{'b': 2}", "{'token': b'***', 'b': 2}"),
        ("{'token': Token('x'), 'b': 2}", "{'b': 2}", "{'token': '***', 'b': 2}"),
        (
            f"failed: {Login('x y')!r}",
            "failed: Login(name='jo')",
            "failed: Login(password='***', name='jo')",
        ),
        (
            f"failed: {Login(Login('x'))!r}!",
            "failed: Login(name='jo')!",
            "failed: Login(password=***, name='jo')!",
        ),
        ("token = x, b = 2", "b = 2", "token = ***, b = 2"),
        ("authorization=Bearer x y", " y", "authorization=*** y"),
        ("(token=x)", "()", "(token=***)"),
        ("token='x", "", "token='***"),
        # What only looks like it.
        ("the token: a story", "the token: a story", "the token: a story"),
        ("tokens=1&my-token=2&my.token=3", "tokens=1&my-token=2&my.token=3", None),
        ("https://h:80/@jo", "https://h:80/@jo", None),
        ("it's 5 o'clock: token", "it's 5 o'clock: token", None),
        ("100%3A", "100%3A", None),
    ],
)
def test_texts(text: str, without: str, with_mask: str | None) -> None:
    """The value goes with its name, and what is left is of the same form."""
    assert removed(text) == without
    assert masked(text) == (without if with_mask is None else with_mask)
    message = orjson.dumps({"properties": {"v": text}})[:-1]
    concerns = Texts(Names(DEFAULT_KEYS)).may_concern(message, len(message))
    assert concerns or without == text


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5).map(
    lambda text: f"{text}{SECRET}{text}"
)
NAMES = st.sampled_from(["token", "Access-Token", "user[password]", "API_KEY"])


def nested(value: Any) -> st.SearchStrategy[Any]:
    """JSON around it."""
    return st.one_of(
        st.fixed_dictionaries({"a": st.just(1)}, optional={"b": st.just(value)}),
        st.just([value, "b"]),
    )


@given(name=NAMES, value=VALUES, data=st.data())
def test_no_form_of_writing_escapes(name: str, value: str, data: st.DataObject) -> None:
    """Queries, JSON, JSON within JSON, Python's own, each percent-encoded or not, and mixed."""
    forms: list[Any] = [
        lambda: f"/?a=1&{quote(name)}={quote(value)}&b=2",
        lambda: f"#{quote_plus(name)}={quote_plus(value)}",
        lambda: json.dumps({"a": 1, name: value}),
        lambda: json.dumps({name: [value, {"x": value}], "b": 2}),
        lambda: json.dumps({"x": json.dumps({name: value, "b": 1})}),
        lambda: orjson.dumps({name: value}).decode(),
        lambda: repr({name: value, "b": 1}),
        lambda: repr({name: (value, {"x": value})}),
        lambda: repr(ValueError({name: value})),
    ]
    if name == "token":
        forms.append(lambda: f"Login(token={value!r}, name='jo')")
    text = data.draw(st.sampled_from(forms))()
    for _ in range(data.draw(st.integers(0, 2))):
        text = f"/?next={quote_plus(text)}"
    text = data.draw(st.sampled_from(["{}", "it failed: {} now", "({})"])).replace("{}", text, 1)
    assert SECRET not in removed(text)
    assert SECRET not in masked(text)
    assert removed(removed(text)) == removed(text)
    message = orjson.dumps({"properties": {"v": text}})[:-1]
    assert Texts(Names(DEFAULT_KEYS)).may_concern(message, len(message))


@given(st.text(max_size=40), st.sampled_from(["", "=", "token=", "'token': ", "%3D", "://a:b@"]))
def test_any_text_is_taken(text: str, more: str) -> None:
    """And one that the look at bytes lets pass has nothing to redact."""
    text = f"{text}{more}{text}"
    redaction = Redaction(DEFAULT_KEYS)
    message = orjson.dumps({"properties": {"v": text}})[:-1]
    if not redaction.texts.may_concern(message, len(message)):
        assert redaction.message(message) == message


PARTS = ["a", "'", '"', "=", "token=", "token='", "'a", "(", "%3D", "token=(", ";", "\\", "a="]


@each("part", PARTS)
def test_long_texts_are_taken_in_one_go(part: str) -> None:
    """Whatever they are made of, as somebody may send them: a square of the length has no end."""
    text = (part * 300_000)[:300_000]
    assert len(removed(text)) <= len(text)


def test_keys_that_are_texts_are_looked_at() -> None:
    """An app may count by URL; patterns are for keys, too."""
    import re

    def replaced(replace: Any, text: str) -> str:
        return re.sub("[a-z]+@[a-z.]+", lambda found: replace(found[0]), text)

    redaction = Redaction(DEFAULT_KEYS, "mask", patterns=[replaced])
    event = {"properties": {"visits": {"/?token=x&b=1": 3, "jo@example.com": 1, "a": 2}}}
    found = orjson.loads(redaction.message(orjson.dumps(event)[:-1]) + b"}")
    assert found == {"properties": {"visits": {"/?token=***&b=1": 3, "***": 1, "a": 2}}}


def test_ids_in_texts_are_hashed_as_elsewhere() -> None:
    """A query names them as a key does; and what was hashed stays so."""
    redaction = Redaction(["token"], hash_names=["ids"], hmac_key=b"k")
    made = redaction.hasher()
    event = {"userId": "jo", "properties": {"url": f"/?user_id=jo&token={SECRET}", "n": "jo"}}
    once = redaction.message(orjson.dumps(event)[:-1], made)
    found = orjson.loads(once + b"}")
    assert found["properties"] == {"url": f"/?user_id={found['userId']}", "n": "jo"}
    assert redaction.message(once, made) == once


def test_patterns_leave_hashes_alone() -> None:
    """Else the digits in one would be cut out, and it would tie the event to nobody."""
    import re

    def replaced(replace: Any, text: str) -> str:
        return re.sub(r"\d", lambda found: replace(found[0]), text)

    for action in ("remove", "hmac"):
        redaction = Redaction(
            ["q"], action, hash_names=["email"], hmac_key=b"k", patterns=[replaced, replaced]
        )
        made = redaction.hasher()
        message = orjson.dumps({"properties": {"email": "jo", "note": "a 7"}})[:-1]
        once = redaction.message(message, made)
        digest = redaction.hasher()
        assert orjson.loads(once + b"}")["properties"] == {
            "email": digest("jo"),
            "note": "a " if action == "remove" else f"a {digest('7')}",
        }
        assert redaction.message(once, made) == once
