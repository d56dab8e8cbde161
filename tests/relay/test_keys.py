"""Write keys of a relay: from files or the environment, and never shown."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from rudder_logging.exceptions import ConfigError
from rudder_logging.relay.keys import WriteKey, find_keys, variable_of

SECRET = "2FhTheKey"


def test_a_file_wins_over_the_environment(tmp_path: Path) -> None:
    """Then the variable of the source's own, and for one source alone the usual one."""
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o400)
    (tmp_path / "link").symlink_to(file)  # as Kubernetes has it
    environ = {"RUDDER_WRITE_KEY_SHOP": "own", "RUDDER_WRITE_KEY": "usual"}
    assert find_keys({"shop": str(tmp_path / "link")}, environ)["shop"].text == SECRET
    assert find_keys({"shop": None}, environ)["shop"].text == "own"
    assert find_keys({"web": None}, environ)["web"].text == "usual"


@pytest.mark.parametrize(
    ("source", "variable"),
    [("shop", "SHOP"), ("my-shop.eu", "MY_SHOP_EU"), ("a_1", "A_1")],
)
def test_the_variable_of_a_source(source: str, variable: str) -> None:
    """Upper case, and an underscore for what a variable can't have."""
    assert variable_of(source) == f"RUDDER_WRITE_KEY_{variable}"


def test_a_source_without_a_key_is_told_with_the_three_ways() -> None:
    """The usual variable is one source's: of two, nobody knows whose it is."""
    with pytest.raises(ConfigError) as caught:
        find_keys({"shop": None, "web": None}, {"RUDDER_WRITE_KEY": SECRET})
    assert str(caught.value) == (
        "there is no write key for the source shop; give --source shop=KEYFILE, set "
        "RUDDER_WRITE_KEY_SHOP, or, with one source only, set RUDDER_WRITE_KEY"
    )


def test_two_sources_do_not_share_a_variable() -> None:
    """`a.b` and `a-b` have the same one."""
    with pytest.raises(ConfigError, match=r"both a\.b and a-b; give KEYFILEs"):
        find_keys({"a.b": None, "a-b": None}, {"RUDDER_WRITE_KEY_A_B": SECRET})


@pytest.mark.parametrize("content", ["", "two words\nand lines", f"{SECRET}:x", "\xff" * 9_999])
def test_a_file_without_a_key_is_told(tmp_path: Path, content: str) -> None:
    """By name, not by content."""
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"key holds no write key for the source shop") as caught:
        WriteKey("shop", path=str(file))
    assert SECRET not in str(caught.value)
    file.unlink()
    with pytest.raises(ConfigError, match=r"shop can't be read from .*: No such file"):
        WriteKey("shop", path=str(file))


def test_a_key_is_in_no_repr(tmp_path: Path) -> None:
    """A file's name may be."""
    file = tmp_path / "key"
    file.write_text(SECRET)
    assert SECRET not in repr(WriteKey("shop", path=str(file))) + repr(WriteKey("a", text=SECRET))


def test_a_file_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new key counts; a file that is gone, or empty for a moment, changes nothing but a line."""
    file = tmp_path / "key"
    file.write_text("first")
    file.chmod(0o600)
    key = WriteKey("shop", path=str(file))
    file.write_text("second")
    key.look_again()
    assert key.text == "second"
    file.write_text("")
    key.look_again()
    key.look_again()
    assert key.text == "second"
    assert len(caplog.messages) == 1


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize(
    ("mode", "is_told"), [(0o600, False), (0o640, False), (0o644, True), (0o444, False)]
)
def test_a_key_that_anybody_can_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, is_told: bool
) -> None:
    """Not that of a secret of a container, which is there for all in it, and read-only."""
    file = tmp_path / "key"
    file.write_text(SECRET)
    file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        WriteKey("shop", path=str(file))
    assert bool(caplog.messages) == is_told
    assert SECRET not in caplog.text
