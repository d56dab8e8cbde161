"""The options `relay`, `source` and `relay_max_bytes`: which of them counts, and what is shown."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from rudder_logging.config import Config
from rudder_logging.config.relay_urls import parse_relay_url
from rudder_logging.exceptions import ConfigError

from ..each import each

PASSWORD = "s3cret-pa55word"
URL = f"redis://app:{PASSWORD}@engine.example:6379/3?ssl_password={PASSWORD}"
RELAY: dict[str, Any] = {"relay": URL, "source": "shop"}


def load(environ: dict[str, str] | None = None, **options: Any) -> Config:
    """A configuration with these options, and no other environment."""
    return Config.load(environ or {}, **options)


def test_a_relay_needs_neither_key_nor_data_plane() -> None:
    """Only the relay has the write key."""
    config = load(**RELAY)
    assert (config.relay, config.source) == (URL, "shop")
    assert config.destination == "redis://engine.example:6379/3 (source shop)"


def test_a_relay_without_a_source_is_refused() -> None:
    """The relay would not know whose events they are."""
    with pytest.raises(ConfigError, match=r"^source is missing: .* RUDDER_SOURCE$"):
        load(relay=URL)
    with pytest.raises(ConfigError, match=r"^source is missing"):
        load({"RUDDER_RELAY": URL})
    assert load({"RUDDER_SOURCE": "shop"}, relay=URL).source == "shop"


def test_a_relay_and_a_sink_are_refused() -> None:
    """Neither wins silently, unless one is an argument and the other but in the environment."""
    name = "tests.config.test_config:SINK"
    both = {"RUDDER_RELAY": URL, "RUDDER_SINK": name, "RUDDER_SOURCE": "shop"}
    ways: list[tuple[dict[str, str], dict[str, Any]]] = [({}, {**RELAY, "sink": name}), (both, {})]
    for environ, options in ways:
        with pytest.raises(ConfigError, match=r"^relay and sink both say where events go"):
            load(environ, **options)
    assert load({"RUDDER_SINK": name}, **RELAY).sink is None
    assert load({"RUDDER_RELAY": URL}, sink=name).relay is None


def test_the_key_and_the_data_plane_may_stay() -> None:
    """Two more options move an app to a relay. Its key is not kept: it is the relay's."""
    kept: dict[str, Any] = {"write_key": "s3cret-key", "data_plane_url": "https://h"}
    config = load(**kept, **RELAY)
    assert config.relay == URL
    assert "s3cret-key" not in config.identity + config.write_key
    environ = {"RUDDER_WRITE_KEY": "s3cret-key", "RUDDER_DATA_PLANE_URL": "https://h"}
    assert load(environ, **RELAY).write_key == config.write_key


def test_the_environment_moves_an_app_that_names_no_data_plane() -> None:
    """An argument wins, though: what the code says of where events go is not overruled."""
    environ = {"RUDDER_RELAY": URL, "RUDDER_SOURCE": "shop", "RUDDER_DATA_PLANE_URL": "https://h"}
    assert load(environ, write_key="key").relay == URL
    for name in ("data_plane_url", "dataPlaneUrl", "host"):
        config = Config.load(environ, write_key="key", **{name: "https://other"})
        assert (config.relay, config.data_plane_url) == (None, "https://other")
    assert load({**environ, "RUDDER_RELAY": "wrong"}, write_key="k", host="https://h").relay is None


def test_a_source_alone_changes_nothing() -> None:
    """It may be set wherever the app runs, with a relay there or without."""
    config = load({"RUDDER_SOURCE": "shop"}, write_key="key", data_plane_url="https://h")
    assert config.identity == "key https://h"
    assert config.destination == "https://h"


def test_the_url_may_say_how_much_the_engine_holds() -> None:
    """The option says the same; that they differ is told, and the default is no word."""
    url = "redis://h?max_bytes=5000"
    assert load(relay=url, source="a").relay_max_bytes == 5_000
    assert load(relay=url, source="a", relay_max_bytes=5_000).relay_max_bytes == 5_000
    assert load(relay="redis://h", source="a", relay_max_bytes=7_000).relay_max_bytes == 7_000
    with pytest.raises(ConfigError, match=r"relay_max_bytes \(7000\) and max_bytes .* \(5000\)"):
        load(relay=url, source="a", relay_max_bytes=7_000)
    made = load(relay=url, source="a")
    for copied in (dataclasses.replace(made, gzip=False), pickle.loads(pickle.dumps(made))):
        assert copied.relay_max_bytes == 5_000


def test_what_is_shown_holds_no_secret() -> None:
    """Neither password nor user nor a parameter, which may be a password, too."""
    config = load(**RELAY)
    for text in (repr(config), config.destination, config.identity, repr(config.relay_url)):
        assert PASSWORD not in text
        assert "app:" not in text


def test_a_refusal_holds_no_secret() -> None:
    """Whatever is wrong with the URL; nor does the error's cause, which a traceback shows."""
    for url in (
        f"redis://:{PASSWORD}@h:port",
        f"redis://:{PASSWORD}/x@h:1/0",
        f"redis://app:6379/{PASSWORD}@h:1/0",
        f"redis://:{PASSWORD}#x@h:1/0",
        f"redis://:{PASSWORD}@",
        f"redis://:{PASSWORD} @h",
        f"reddis://:{PASSWORD}@h",
        f"redis://:{PASSWORD}@h?max_bytes=1",
        f"redis://:{PASSWORD}@h?max_bytes={PASSWORD}",
    ):
        with pytest.raises(ConfigError) as caught:
            load(relay=url, source="shop")
        assert PASSWORD not in str(caught.value)
        assert caught.value.__suppress_context__


def test_whose_events_they_are_in_a_durable_queue() -> None:
    """The engine, its database and the source tell; a password that was changed does not."""

    def identity(url: str, source: str = "shop") -> str:
        return load(relay=url, source=source).identity

    own = identity("redis://h:6379/0")
    assert own == identity("redis://:new@h:6379/0?max_bytes=5000")
    others = [
        identity("redis://other:6379/0"),
        identity("redis://h:6379/1"),
        identity("redis://h:6379/0", "blog"),
        identity("unix:///run/redis.sock"),
        identity("unix:///run/redis.sock?db=1"),
    ]
    assert len({own, *others}) == 6
    assert all(one.count(" ") == 1 for one in (own, *others))


@each(
    ("url", "hosts", "shown"),
    [
        ("redis://h", ("h",), "redis://h"),
        ("REDISS://u:p@h:1/0?x=y", ("h",), "rediss://h:1/0"),
        ("redis://[::1]:6379/0", ("::1",), "redis://[::1]:6379/0"),
        ("unix:///run/redis.sock?db=2&password=p", (), "unix:///run/redis.sock?db=2"),
        ("redis+sentinel://:p@a:1,b:2/main/0", ("a", "b"), "redis+sentinel://a:1,b:2/main/0"),
        ("redis+cluster://a,b,c", ("a", "b", "c"), "redis+cluster://a,b,c"),
        ("kafka://u:p%40@a:9092,b/topic?x=y", ("a", "b"), "kafka://a:9092,b/topic"),
    ],
)
def test_what_a_url_says(url: str, hosts: tuple[str, ...], shown: str) -> None:
    """Its hosts, and what people may see of it."""
    parsed = parse_relay_url(url)
    assert (parsed.hosts, parsed.shown) == (hosts, shown)


@each(
    ("url", "in_clear"),
    [
        ("redis://h", True),
        ("redis://10.0.0.5:6379/0", True),
        ("redis://localhost:6379", False),
        ("redis://[::1]:6379", False),
        ("unix:///run/redis.sock", False),
        ("rediss://h", False),
        ("rediss+cluster://a,b", False),
        ("redis+sentinel://localhost,h/main", True),
        ("kafka://a,b/topic", True),
        ("kafka://a,b/topic?security.protocol=SASL_SSL", False),
        ("kafka://a,b/topic?security.protocol=sasl_plaintext", True),
    ],
)
def test_which_urls_go_in_clear(url: str, in_clear: bool) -> None:
    """Those that leave this machine, and are not encrypted."""
    assert load(relay=url, source="shop").is_in_clear is in_clear
