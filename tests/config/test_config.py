"""Every option: its default, what it takes, what it refuses, and where it comes from."""

from __future__ import annotations

import copy
import dataclasses
import json
import os.path
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from rudder_logging.config import (
    ALIASES,
    OPTIONS,
    Config,
    Options,
    canonical_name,
    parse_option,
)
from rudder_logging.exceptions import ConfigError, UnknownOptionError
from rudder_logging.privacy.options import Privacy
from rudder_logging.queues import open_queue
from rudder_logging.queues.base import METHODS

from ..each import each
from ..sinks.one_file import FileSink

KEY = "s3cret-write-key"
URL = "https://example.dataplane.rudderstack.com"
REQUIRED = {"write_key": KEY, "data_plane_url": URL}
ENVIRON = {"RUDDER_WRITE_KEY": KEY, "RUDDER_DATA_PLANE_URL": URL, "RUDDER_SOURCE": "shop"}
SINK = FileSink(Path("events.jsonl"))
QUEUE = open_queue("memory://", source="", max_events=1, max_bytes=1_000)


def load(**options: Any) -> Config:
    """A configuration with the two required options and these, and no environment."""
    also = {"source": "shop"} if "relay" in options else {}
    return Config.load({}, **{**REQUIRED, **also, **options})


DEFAULTS: dict[str, Any] = {
    "upload_size": 100,
    "upload_interval": 0.5,
    "max_batch_bytes": 4_000_000,
    "max_event_bytes": 3_999_900,
    "queue": "memory://",
    "sink": None,
    "relay": None,
    "source": None,
    "relay_max_bytes": 1024 * 1024 * 1024,
    "max_queue_size": 10_000,
    "max_queue_bytes": 64 * 1024 * 1024,
    "overflow": "drop_new",
    "block_timeout": 1.0,
    "timeout": 15.0,
    "max_retries": None,
    "shutdown_timeout": 10.0,
    "drain_on_sigterm": False,
    "gzip": True,
    "proxies": None,
    "ca_bundle": None,
    "client_cert": None,
    "on_error": None,
    "on_drop": None,
    "before_send": None,
    "dead_letter": None,
    "privacy": None,
    "allowed_hosts": None,
    "context": {},
    "integrations": {"All": True},
    "trace_context": False,
    "send": True,
    "sync_mode": False,
    "debug": False,
}

SECONDS = ["upload_interval", "block_timeout", "timeout", "shutdown_timeout"]
FLAGS = ["gzip", "trace_context", "send", "sync_mode", "debug"]
CALLBACKS = ["on_error", "on_drop", "before_send"]
PATHS = ["ca_bundle", "dead_letter"]
INTEGERS = [
    ("upload_size", 1, None),
    ("max_batch_bytes", 1_000, 4_096_000),
    ("max_event_bytes", 500, None),
    ("relay_max_bytes", 1_000, None),
    ("max_queue_size", 1, None),
    ("max_queue_bytes", 1_000, None),
    ("max_retries", 0, None),
]

TEXT: list[tuple[str, str, Any]] = [
    ("write_key", f" {KEY}\n", KEY),
    ("data_plane_url", f" {URL}/ ", URL),
    ("upload_size", "7", 7),
    ("upload_interval", "0.25", 0.25),
    ("upload_interval", "0", 0.0),
    ("max_batch_bytes", "500000", 500_000),
    ("max_event_bytes", "1000", 1_000),
    ("queue", "memory://", "memory://"),
    ("sink", "tests.config.test_config:SINK", SINK),
    ("relay", " redis://h:6379/0\n", "redis://h:6379/0"),
    ("source", " shop.eu-1_a ", "shop.eu-1_a"),
    ("relay_max_bytes", "1000000", 1_000_000),
    ("max_queue_size", "5", 5),
    ("max_queue_bytes", "100000", 100_000),
    ("overflow", "drop_old", "drop_old"),
    ("overflow", "block", "block"),
    ("block_timeout", "2.5", 2.5),
    ("timeout", "20", 20.0),
    ("max_retries", "0", 0),
    ("max_retries", "3", 3),
    ("max_retries", "none", None),
    ("max_retries", " NONE ", None),
    ("shutdown_timeout", "1e1", 10.0),
    ("drain_on_sigterm", "on", True),
    ("gzip", "off", False),
    ("proxies", '{"https": "http://proxy:3128"}', {"https": "http://proxy:3128"}),
    ("ca_bundle", "/etc/ca.pem", "/etc/ca.pem"),
    ("client_cert", "/etc/client.pem", "/etc/client.pem"),
    ("client_cert", "/etc/cert,key.pem", "/etc/cert,key.pem"),
    ("client_cert", "[pem", "[pem"),
    ("client_cert", "3", "3"),
    ("client_cert", '["/etc/cert.pem", "/etc/key.pem"]', ("/etc/cert.pem", "/etc/key.pem")),
    ("on_error", "json:loads", json.loads),
    ("on_drop", "json.dumps", json.dumps),
    ("before_send", "os.path:join", os.path.join),
    ("dead_letter", "dead.jsonl", str(Path("dead.jsonl").absolute())),
    ("privacy", '{"redact": ["note"]}', Privacy(redact=["note"])),
    ("allowed_hosts", "*.rudderstack.com, localhost", ("*.rudderstack.com", "localhost")),
    ("context", '{"app": {"name": "a"}}', {"app": {"name": "a"}}),
    ("integrations", '{"All": false, "S3": true}', {"All": False, "S3": True}),
    ("trace_context", "yes", True),
    ("send", "no", False),
    ("sync_mode", "yes", True),
    ("debug", "1", True),
]
"""Each option as text, and what it means."""


# --- The table ---


def test_every_option_is_known_here() -> None:
    """No option is without a test of its default and of its text form."""
    assert set(OPTIONS) == {*REQUIRED, *DEFAULTS} == {name for name, _, _ in TEXT}


@each(("name", "default"), DEFAULTS.items())
def test_defaults(name: str, default: object) -> None:
    """What holds if nothing was said."""
    assert getattr(load(), name) == default


@each("name", OPTIONS)
def test_every_option_is_documented(name: str) -> None:
    """One line of prose each, for the guide and the CLI."""
    doc = OPTIONS[name].metadata["doc"]
    assert doc.endswith(".")
    assert "\n" not in doc


def test_durations_and_sizes_have_units() -> None:
    """A number says what it counts."""
    numbers = {*SECONDS, *(name for name, _, _ in INTEGERS)} - {"max_retries"}
    assert {name for name, field in OPTIONS.items() if field.metadata["unit"]} == numbers


def test_the_typed_keywords_are_the_options() -> None:
    """Editors know each option, and no other, by each of its names."""
    fields = {field.name for field in dataclasses.fields(Config)}
    aliases = set(ALIASES)
    assert set(Options.__annotations__) == fields - set(REQUIRED) | aliases


@each(("name", "text", "value"), TEXT)
def test_text_is_taken(name: str, text: str, value: object) -> None:
    """Each option can be given as text, as configuration files have it."""
    assert getattr(load(**{name: text}), name) == value
    assert parse_option(name, text) == value


@each(("name", "text", "value"), TEXT)
def test_the_environment_is_read(name: str, text: str, value: object) -> None:
    """`RUDDER_<NAME>` stands for each option."""
    environ = {**ENVIRON, f"RUDDER_{name.upper()}": text}
    assert getattr(Config.load(environ), name) == value


def test_the_process_has_an_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when a configuration is put together, not at import."""
    monkeypatch.setenv("RUDDER_WRITE_KEY", KEY)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", URL)
    monkeypatch.setenv("RUDDER_UPLOAD_SIZE", "7")
    assert Config.load().upload_size == 7


@each(("name", "text", "value"), TEXT)
def test_arguments_win_over_the_environment(name: str, text: str, value: object) -> None:
    """What the environment says then need not even be right."""
    environ = {"RUDDER_SOURCE": "shop", f"RUDDER_{name.upper()}": "\x00 wrong"}
    assert getattr(Config.load(environ, **{**REQUIRED, name: text}), name) == value


@each("name", OPTIONS)
def test_none_is_not_given(name: str) -> None:
    """So a setting that may be missing can be passed on; the environment still counts."""
    text, value = next((text, value) for option, text, value in TEXT if option == name)
    environ = {**ENVIRON, f"RUDDER_{name.upper()}": text}
    assert getattr(Config.load(environ, **{name: None}), name) == value


@each("name", DEFAULTS)
def test_an_empty_variable_is_not_given(name: str) -> None:
    """As a compose file has it for what it leaves out."""
    config = Config.load({f"RUDDER_{name.upper()}": ""}, **REQUIRED)
    assert getattr(config, name) == DEFAULTS[name]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("given", [{}, {"empty": ""}, {"none": None}])
def test_a_required_option_must_be_there(name: str, given: dict[str, Any]) -> None:
    """The error names the option and the variable."""
    options = {**REQUIRED}
    del options[name]
    environ = {f"RUDDER_{name.upper()}": ""} if "empty" in given else {}
    extra = {name: None} if "none" in given else {}
    with pytest.raises(ConfigError, match=f"^{name} is missing; .*RUDDER_{name.upper()}$"):
        Config.load(environ, **options, **extra)


# --- Values of other types ---


@each(
    ("name", "given", "value"),
    [
        ("upload_size", 7, 7),
        ("upload_size", 7.0, 7),
        ("upload_size", " 7 ", 7),
        ("upload_interval", 2, 2.0),
        ("upload_interval", 0, 0.0),
        ("timeout", 0.001, 0.001),
        ("max_batch_bytes", 4_096_000, 4_096_000),
        ("gzip", 0, False),
        ("gzip", 1, True),
        ("ca_bundle", Path("ca.pem"), "ca.pem"),
        ("dead_letter", Path("dead.jsonl"), str(Path("dead.jsonl").absolute())),
        ("client_cert", ("cert.pem", Path("key.pem")), ("cert.pem", "key.pem")),
        ("client_cert", ["cert.pem", "key.pem"], ("cert.pem", "key.pem")),
        ("on_drop", print, print),
        ("queue", QUEUE, QUEUE),
        ("proxies", {"https": "http://proxy"}, {"https": "http://proxy"}),
        ("context", MappingProxyType({"a": 1}), {"a": 1}),
        ("integrations", {}, {}),
    ],
)
def test_values_are_taken(name: str, given: object, value: object) -> None:
    """Each option in the types that a Python app would give."""
    taken = getattr(load(**{name: given}), name)
    assert taken == value
    assert not isinstance(value, (int, float, str, tuple)) or type(taken) is type(value)


@each("word", ["1", "true", "TRUE", "Yes", "on", " on "])
@each("name", FLAGS)
def test_words_for_true(name: str, word: str) -> None:
    """As people write it in environment variables."""
    assert getattr(load(**{name: word}), name) is True


@each("word", ["0", "false", "FALSE", "No", "off", " off "])
@each("name", FLAGS)
def test_words_for_false(name: str, word: str) -> None:
    """`RUDDER_SEND=false` must not mean True, as any text would."""
    assert getattr(load(**{name: word}), name) is False


@pytest.mark.parametrize("name", ["context", "integrations", "proxies"])
def test_mappings_are_copied(name: str) -> None:
    """What the app does later with its own dict changes no option, and the copy is read-only."""
    own = {"https": "http://proxy"}
    config = load(**{name: own})
    own["https"] = "changed"
    assert getattr(config, name) == {"https": "http://proxy"}
    with pytest.raises(TypeError):
        getattr(config, name)["x"] = 1


def test_a_configuration_is_frozen() -> None:
    """No option changes behind the back of a handler."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().upload_size = 5  # type: ignore[misc]


# --- Refusals ---

HUGE = 10**400
"""Over what a float can hold."""

CERT_CURE = "must be one file, or a pair: certificate, key"

BAD: list[tuple[str, Any, str]] = [
    *((name, value, "must be a whole number, at least") for name, _, _ in INTEGERS
      for value in ("many", "1.5", "1e3", 1.5, float("nan"), float("inf"), True, [1], b"1")),
    *((name, low - 1, f"must be at least {low}") for name, low, _ in INTEGERS),
    *((name, str(low - 1), f"must be at least {low}") for name, low, _ in INTEGERS),
    ("max_batch_bytes", 4_096_001, "must be at least 1000 and at most 4096000, not 4096001"),
    *((name, value, "number of seconds") for name in SECONDS
      for value in ("soon", "1s", True, False, [1], object())),
    *((name, value, "must be a finite number of seconds, at least 0") for name in SECONDS
      for value in (-1, "-0.5", float("nan"), float("inf"), "inf", "1e400")),
    *((name, HUGE, "seconds") for name in SECONDS),
    *((name, value, "must be at most 1000000000 seconds") for name in SECONDS
      for value in (1e10, 1e300, "1e10")),
    *((name, value, "below 2**63") for name, _, _ in INTEGERS
      for value in (10**5_000, -(10**5_000))),
    ("timeout", 0, "must be over 0 seconds"),
    ("timeout", "0", "must be over 0 seconds"),
    *((name, value, "must be true or false") for name in FLAGS
      for value in ("maybe", "2", 2, 0.0, [1], {"a": 1}, "truefalse")),
    *(("overflow", value, "must be one of drop_new, drop_old, block")
      for value in ("drop", "BLOCK", "", 1, True, ["block"])),
    *((name, value, "must be a mapping") for name in ("context", "integrations", "proxies")
      for value in ("text", "{", "[1]", "3", [1], 3, True, [("a", 1)])),
    *(("integrations", {"All": value}, "'All' must be True or False")
      for value in ("true", None, 1, [1])),
    ("integrations", '{"All": "true"}', "'All' must be True or False"),
    *(("proxies", {"https": value}, "must") for value in (3, ["http://proxy"])),
    *((name, value, "must be callable, not") for name in CALLBACKS for value in (3, [print], b"a")),
    *((name, "json:__doc__", "must be callable, not str") for name in CALLBACKS),
    *((name, value, "can't be imported; give module:name") for name in CALLBACKS
      for value in ("", "loads", "json:nothing", "no_such_module:f", ":", "json:", ":loads",
                    ".json:loads", "json..loads")),
    *((name, value, "must be a path") for name in [*PATHS, "client_cert"]
      for value in (3, b"/etc/ca.pem", True, {"a": 1})),
    *((name, ["ca.pem", "b", "c"], "must be") for name in [*PATHS, "client_cert"]),
    *(("client_cert", value, CERT_CURE) for value in ([], ["a"], ("a", "b", "c"), '["a"]')),
    ("max_retries", "some", "must be a whole number, at least 0; or none"),
    ("client_cert", ("a.pem", 3), "must be a path"),
    *(("relay", value, "the schemes are redis://, rediss://, unix://, redis+sentinel://")
      for value in ("", "h:6379", "https://h", "rabbit://h", "redis", 3, b"redis://h")),
    *(("relay", value, "must name a host, like redis://host:6379/0")
      for value in ("redis://", "redis:///0", "redis:h", "redis://:6379", "redis://a,,b/0",
                    "kafka:///topic", "redis://user:pw@/0")),
    *(("relay", value, "must look like redis://host:6379/0; of a password, write / as %2F")
      for value in ("redis://h:port", "redis://h:99999/0", "redis://[::1", "redis://:p/w@h:6379/0",
                    "redis+sentinel://a:26379,b:x/main/0")),
    ("relay", "redis://:p#w@h:6379/0", "write / as %2F, # as %23"),
    *(("relay", value, "must have no blanks") for value in ("redis://h /0", "redis://h/\x00")),
    *(("relay", value, "must name a socket after three slashes")
      for value in ("unix://", "unix:///", "unix://run/redis.sock")),
    *(("relay", f"redis://h?max_bytes={value}", "a whole number of bytes, at least 1000")
      for value in ("", "-1", "999", "1e9", "9" * 30)),
    ("relay", "redis://h?max_bytes=1000&max_bytes=1000", "max_bytes twice"),
    *(("source", value, "must be a name of at most 100 letters, digits, dots, _ and -")
      for value in ("", "a b", "a/b", "{a}", "a:b", "k\u00e4se", "a" * 101, 3, b"shop", ["shop"])),
    *(("queue", value, "must be memory://, file:///var/spool/app, or an object with")
      for value in ("memory", "redis://localhost", "", "/var/spool/app")),
    *(("queue", value, "must name an absolute directory after three slashes")
      for value in ("file://", "file:///", "file://spool/app", "file:spool", "file:///a%00b")),
    ("queue", "file:///spool#1", "write a # of the path as %23"),
    ("queue", "file:///spool?fsnyc=always", "did you mean 'fsync'?"),
    ("queue", "file:///spool?size=1", "there are fsync, max_bytes, max_age"),
    ("queue", "file:///spool?max_age=1&max_age=2", "max_age twice"),
    *(("queue", f"file:///spool?fsync={value}", "fsync=always, fsync=interval or fsync=never")
      for value in ("", "yes", "ALWAYS")),
    *(("queue", f"file:///spool?max_bytes={value}", "a whole number of bytes, at least 1000")
      for value in ("", "-1", "999", "1e9", "1GiB")),
    *(("queue", f"file:///spool?max_age={value}", "a number of seconds over 0")
      for value in ("", "0", "-1", "nan", "inf", "7d")),
    *(("queue", value, f"lacking: {', '.join(METHODS)}") for value in (3, object(), [])),
    *(("write_key", value, "must be the source's write key: printable ASCII, without a colon")
      for value in ("", " ", "a:b", "k\u00e4y", "a\nb", "a\x00b", 3, b"key", ["key"])),
    *(("data_plane_url", value, "must look like https://")
      for value in ("", "example.com", "//example.com", "ftp://example.com", "https://",
                    "https://:80", "https:/example.com", "https://h:port", "https://h:99999",
                    "https://[::1", "https://exa mple.com", "https://h\n/x", "https://h\x00",
                    3, b"https://h", ["https://h"])),
    *(("data_plane_url", value, "is for the option relay")
      for value in ("redis://h:6379/0", "redis+sentinel://:pw@h/main", "kafka://h/topic")),
    *(("data_plane_url", value, "must not hold a user or password; the write key is an option")
      for value in ("https://user@h", "https://user:pw@h", "https://:pw@h", "https://@h")),
    *(("data_plane_url", value, "must have neither a query nor a fragment")
      for value in ("https://h?a=b", "https://h/x#y", "https://h?", "https://h/#")),
    *(("data_plane_url", value, "must end before /v1: the client adds the path")
      for value in ("https://h/v1", "https://h/v1/", "https://h/v1/batch", "https://h/x/v1/track")),
]  # fmt: skip


@each(("name", "value", "says"), BAD)
def test_a_wrong_value_is_refused(name: str, value: object, says: str) -> None:
    """Where it is given, with a message that names the option and the cure."""
    with pytest.raises(ConfigError) as caught:
        load(**{name: value})
    assert str(caught.value).startswith(f"{name} ")
    assert says in str(caught.value)
    with pytest.raises(ConfigError, match=f"^{name} "):
        parse_option(name, value)


class Unreadable:
    """A value that raises whenever it is looked at, and tells a secret."""

    def _raise(self) -> Any:
        raise RuntimeError("a-secret")

    __str__ = __repr__ = __float__ = __fspath__ = keys = __iter__ = _raise
    __eq__ = _raise  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


@each("name", list(OPTIONS))
def test_a_value_that_can_not_be_read_is_refused(name: str) -> None:
    """Like any other wrong one, without what it says of itself."""
    with pytest.raises(ConfigError, match=f"^{name} ") as caught:
        load(**{name: Unreadable()})
    assert "a-secret" not in str(caught.value)


@each(
    ("name", "text", "says"),
    [(name, value, says) for name, value, says in BAD if isinstance(value, str) and value],
)
def test_a_wrong_variable_is_named(name: str, text: str, says: str) -> None:
    """The message says where the value came from."""
    environ = {**ENVIRON, f"RUDDER_{name.upper()}": text}
    with pytest.raises(ConfigError) as caught:
        Config.load(environ)
    assert str(caught.value).startswith(f"RUDDER_{name.upper()} ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"write_key": f"{KEY}:"},
        {"write_key": f"{KEY}\u00e4"},
        {"write_key": [KEY]},
        {"data_plane_url": f"https://{KEY}@h"},
        {"data_plane_url": f"https://h?key={KEY}"},
        {"proxies": f"http://user:{KEY}@proxy"},
    ],
)
def test_a_refusal_holds_no_secret(options: dict[str, Any]) -> None:
    """A write key that is wrong by one character is still a secret."""
    with pytest.raises(ConfigError) as caught:
        load(**options)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "https://h",
        "HTTPS://h",
        "https://[::1]:8080",
        "https://h/prefix",
        "https://h/v1x",
        "https://h/v2",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    """HTTP or HTTPS, any host, any port, and a path before /v1."""
    assert load(data_plane_url=url).data_plane_url == url


@pytest.mark.parametrize("end", ["/", "//", " ", "/ "])
def test_the_end_of_a_url_is_trimmed(end: str) -> None:
    """As people copy it from the dashboard."""
    assert load(data_plane_url=URL + end).data_plane_url == URL


# --- Names ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("upload_sise", "upload_size"),
        ("max_retry", "max_retries"),
        ("writeKey", "write_key"),
        ("dataplaneurl", "data_plane_url"),
        ("sync", "sync_mode"),
        ("hots", "host"),
        ("queue_size", "max_queue_size"),
    ],
)
def test_an_unknown_option_names_the_nearest(name: str, meant: str) -> None:
    """A typing error is an error, even with None for a value."""
    expected = f"no option is named '{name}'; did you mean '{meant}'?"
    for value in (1, None):
        with pytest.raises(UnknownOptionError) as caught:
            load(**{name: value})
        assert str(caught.value) == expected
    with pytest.raises(UnknownOptionError):
        canonical_name(name)


def test_an_option_like_no_other_is_just_unknown() -> None:
    """No guess is better than a wild one; it is a TypeError, as for any wrong keyword."""
    with pytest.raises(TypeError, match=r"^no option is named 'xyzzy'$"):
        load(xyzzy=1)


@pytest.mark.parametrize("alias", ["host", "dataPlaneUrl"])
def test_the_official_names_are_taken(alias: str) -> None:
    """Code that was written for the official SDK keeps its settings' names."""
    assert Config.load({}, write_key=KEY, **{alias: URL + "/"}).data_plane_url == URL
    assert canonical_name(alias) == "data_plane_url"


@pytest.mark.parametrize(
    "names", [("host", "dataPlaneUrl"), ("data_plane_url", "host"), ("dataPlaneUrl", "host")]
)
def test_an_option_given_twice_is_refused(names: tuple[str, str]) -> None:
    """Under two names: neither wins silently. None is not given."""
    first, second = names
    with pytest.raises(ConfigError, match=f"data_plane_url was given twice, also as {second}"):
        Config.load({}, write_key=KEY, **{first: URL, second: "https://other"})
    config = Config.load({}, write_key=KEY, **{first: None, second: URL})
    assert config.data_plane_url == URL


# --- Sizes that have to fit each other ---


@pytest.mark.parametrize("larger", ["max_batch_bytes", "max_queue_bytes"])
def test_an_event_has_to_fit(larger: str) -> None:
    """Into a batch and into the queue, with room for what frames it."""
    assert getattr(load(max_event_bytes=4_900, **{larger: 5_000}), larger) == 5_000
    with pytest.raises(ConfigError) as caught:
        load(max_event_bytes=4_901, **{larger: 5_000})
    assert str(caught.value) == (
        f"max_event_bytes (4901) must be at least 100 bytes below {larger} (5000); "
        "lower the one or raise the other"
    )


@pytest.mark.parametrize("larger", ["max_batch_bytes", "max_queue_bytes"])
def test_the_default_size_of_an_event_is_what_fits(larger: str) -> None:
    """A small batch or queue is enough of a setting; the default is just below the batch's own."""
    assert load(**{larger: 20_000}).max_event_bytes == 19_900
    assert load(max_batch_bytes=4_096_000).max_event_bytes == 3_999_900


# --- Secrets ---


def test_the_repr_hides_secrets() -> None:
    """Neither the write key nor a proxy's password gets into a log by way of a repr."""
    config = load(proxies={"https": f"http://user:{KEY}@proxy"}, upload_size=7)
    assert KEY not in repr(config)
    assert "write_key" not in repr(config)
    assert "proxies" not in repr(config)
    assert "upload_size=7" in repr(config)


def hook(message: dict[str, Any]) -> dict[str, Any]:
    """A hook that can be pickled."""
    return message


def test_a_configuration_can_be_copied_pickled_and_hashed() -> None:
    """As other frozen dataclasses can: it is equal then, and checked as before."""
    made = load(
        context={"app": {"name": "shop"}},
        proxies={"https": "http://proxy:3128"},
        client_cert=["/etc/cert.pem", "/etc/key.pem"],
        max_retries="none",
        before_send=hook,
    )
    for copied in (
        copy.copy(made),
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),
        dataclasses.replace(made),
    ):
        assert copied == made
        assert hash(copied) == hash(made)
        with pytest.raises(TypeError):
            copied.context["b"] = 1  # type: ignore[index]
    assert len({made, load(), load()}) == 2
