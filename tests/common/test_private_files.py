"""Files of ours under names that others can predict, and directories that they can write to.

The other user is played by making what that user would make; where the files have to be another
user's, only root can do so.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli.common import ExitCode
from rudder_logging.common.private_files import make_directories, make_temporary, open_file
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.dead_letters import DeadLetters
from rudder_logging.exceptions import ConfigError

from ..cli.command import run as run_command
from ..conftest import WRITE_KEY, MakeHandler, Wire

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no owners there")
NOBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can play two users"
)


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A directory of another user, which that user can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        os.chown(path, NOBODY, NOBODY)
        yield path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that only we may read or write."""
    path = tmp_path / "secret"
    path.write_text("root's own\n")
    path.chmod(0o600)
    return path


def mode(path: Path) -> int:
    """Its permissions."""
    return stat.S_IMODE(path.stat().st_mode)


WRITES = os.O_WRONLY | os.O_CREAT | os.O_APPEND


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("symlink", "symbolic link"),
        ("dangling", "symbolic link"),
        ("hard link", "another name"),
        ("pipe", "no regular file|No such device"),
        ("directory", "no regular file|Is a directory"),
    ],
)
@pytest.mark.parametrize("flags", [WRITES, os.O_RDONLY, os.O_RDWR | os.O_CREAT])
def test_what_is_not_ours_alone_is_refused(
    tmp_path: Path, secret: Path, what: str, words: str, flags: int
) -> None:
    """Nothing behind a link is read, written or made, no pipe is waited for."""
    path = tmp_path / "file"
    if what == "symlink":
        path.symlink_to(secret)
    elif what == "dangling":
        path.symlink_to(tmp_path / "new")
    elif what == "hard link":
        path.hardlink_to(secret)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    secret.chmod(0o640)
    with pytest.raises(OSError, match=words) as raised:
        open_file(str(path), flags)
    assert raised.value.filename == str(path)
    assert (secret.read_text(), mode(secret)) == ("root's own\n", 0o640)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("umask", [0, 0o777])
def test_files_are_private_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    """New ones, and those that somebody has made readable for others."""
    path, old = tmp_path / "a", tmp_path / "b"
    old.touch()
    old.chmod(0o666)
    before = os.umask(umask)
    try:
        for each in (path, old):
            os.close(open_file(str(each), WRITES))
    finally:
        os.umask(before)
    assert (mode(path), mode(old)) == (0o600, 0o600)


@as_root
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """It may have made it to read along."""
    path = tmp_path / "file"
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="another user's"):
        open_file(str(path), WRITES)


@as_root
def test_what_root_makes_in_a_users_directory_is_the_users(theirs: Path) -> None:
    """A server that drops its privileges later can go on there, and only that user."""
    make_directories(str(theirs / "a" / "b"))
    os.close(open_file(str(theirs / "a" / "b" / "file"), WRITES))
    file, temporary = make_temporary(str(theirs / "a" / "b" / "file"))
    os.close(file)
    for path in [theirs / "a", theirs / "a" / "b", theirs / "a" / "b" / "file", Path(temporary)]:
        assert path.stat().st_uid == NOBODY
        assert mode(path) == (0o700 if path.is_dir() else 0o600)


# What uses it.


def test_dead_letters_behind_a_link_are_refused(
    tmp_path: Path, secret: Path, make_handler: MakeHandler
) -> None:
    """At the start, with the cure; and later, should the link be made then."""
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(str(path))
    letters.append(b"{}", 400, "x")
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(PermissionError, match="symbolic link"):
        letters.append(b"{}", 400, "x")
    with pytest.raises(ConfigError, match=r"dead_letter .* symbolic link.*; name a file"):
        make_handler(dead_letter=path)
    assert secret.read_text() == "root's own\n"


def log_file(directory: Path) -> Path:
    """A file with one event."""
    path = directory / "app.log"
    event = {"messageId": "1", "type": "track", "event": "e", "userId": "u"}
    path.write_text(json.dumps({**event, "originalTimestamp": "2026-01-31T12:00:00.000Z"}) + "\n")
    return path


def replay(plane: LocalDataPlane, *words: object) -> tuple[int, str]:
    """Run it; returns code and stderr."""
    done = run_command("replay", *words, plane=plane)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_replay_follows_no_link(plane: LocalDataPlane, tmp_path: Path, secret: Path) -> None:
    """Neither the progress, nor what becomes it, nor the rejects lead anywhere else."""
    log = log_file(tmp_path)
    progress = tmp_path / "app.log.replayed"
    (tmp_path / "app.log.replayed.new").symlink_to(secret)
    assert replay(plane, log)[0] == ExitCode.OK
    assert len(plane.events) == 1
    assert mode(progress) == 0o600
    progress.unlink()
    progress.symlink_to(secret)
    code, err = replay(plane, log)
    assert (code, len(plane.events)) == (ExitCode.BAD_INPUT, 1)
    assert "symbolic link" in err
    progress.unlink()
    (tmp_path / "rejects").symlink_to(secret)
    code, err = replay(plane, log, "--rejects", tmp_path / "rejects")
    assert code == ExitCode.BAD_INPUT
    assert "symbolic link" in err
    assert secret.read_text() == "root's own\n"


def log_events(wire: Wire, handler: RudderHandler, *texts: str) -> None:
    """Log an event for each text."""
    logger: logging.Logger = wire(handler)
    for text in texts:
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"text": text}}})


@as_root
def test_segments_made_beforehand_show_nothing(
    theirs: Path, away: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """Whoever sees an owner's first file knows the names of its segments."""
    queue = f"file://{theirs}/spool"
    handler = make_handler(data_plane_url=away.url, queue=queue, max_event_bytes=30_000)
    log_events(wire, handler, "first")
    (segment,) = theirs.rglob("*.jsonl")
    # The next one: of 4 MB, the first is ended.
    planted = segment.with_name(segment.name.replace("00000001", "00000002"))
    planted.touch()
    planted.chmod(0o644)
    log_events(wire, handler, *["x" * 20_000] * 220)
    assert planted.stat().st_size == 0
    away.heal()
    assert handler.flush(20)
    assert len(away.events) == 221


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("kind", ["symlink", "hard link"])
def test_a_segment_that_leads_elsewhere_is_neither_read_nor_copied(
    theirs: Path, secret: Path, away: LocalDataPlane, make_handler: MakeHandler, wire: Wire,
    kind: str,
) -> None:  # fmt: skip
    """Root looks into a user's spool, and purges it: root's other files stay root's."""
    spool = theirs / "spool"
    handler = make_handler(data_plane_url=away.url, queue=f"file://{spool}", shutdown_timeout=0)
    log_events(wire, handler, "first")
    handler.close()
    (segment,) = spool.rglob("*.jsonl")
    secret.write_text('{"userId":"u","secret":1}\n{"userId":"v","secret":2}\n')
    before = secret.read_text()
    segment.unlink()
    if kind == "symlink":
        segment.symlink_to(secret)
    else:
        local = theirs / "secret"
        local.write_text(before)  # on the same file system
        secret = local
        segment.hardlink_to(secret)
    for words in (("show",), ("purge", "--user-id", "u", "--yes"), ("purge", "--all", "--yes")):
        done = run_command("spool", *words, spool)
        assert 'secret":' not in done.stdout
    assert secret.read_text() == before
    assert [path for path in spool.rglob("*") if path.is_file() and "secret" in path.read_text()
            and path != segment] == []  # fmt: skip


SPOOLS = """
import logging, os, signal, sys
from rudder_logging import RudderHandler
handler = RudderHandler(write_key=sys.argv[1], data_plane_url=sys.argv[2], queue=sys.argv[3])
logger = logging.getLogger("app")
logger.addHandler(handler)
def log(n):
    logger.warning("e", extra={"rudder": {"user_id": "u", "properties": {"n": n}}})
if "first" in sys.argv:
    log(0)
os.setgid(65534)
os.setuid(65534)
child = os.fork()
if not child:
    log(1)
    print(handler.stats().spool_errors, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("logs", ["first", "later"])
@pytest.mark.parametrize("below", ["", "spool", "a/spool"])
def test_who_drops_privileges_can_go_on_with_the_spool(
    theirs: Path, away: LocalDataPlane, make_handler: MakeHandler, logs: str, below: str
) -> None:
    """Root makes it in the app user's directory, its workers are that user: SIGKILL loses none."""
    queue = f"file://{theirs / below}"
    done = subprocess.run(
        [sys.executable, "-c", SPOOLS, WRITE_KEY, away.url, queue, logs],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.stdout == "0\n", done.stderr
    away.heal()
    handler = make_handler(data_plane_url=away.url, queue=queue)
    assert handler.flush(20)
    numbers = [event["properties"]["n"] for event in away.events]
    assert sorted(numbers) == ([0, 1] if logs == "first" else [1])


NOT_OURS = """
import os, sys
from rudder_logging import ConfigError, RudderHandler
options = {"write_key": "k", "data_plane_url": "https://example.com"}
RudderHandler(queue="file://" + sys.argv[1], **options)  # all is imported that is root's
os.setgid(65534)
os.setuid(65534)
for path in sys.argv[2:]:
    try:
        RudderHandler(queue="file://" + path, **options)
        print("made")
    except ConfigError as error:
        print(error)
"""


@pytest.mark.slow
@as_root
def test_a_spool_of_another_user_is_an_error_with_the_cure(tmp_path: Path, theirs: Path) -> None:
    """A volume's own directory is root's, say: one below it is made, and is the app's."""
    os.chown(theirs, 0, 0)
    theirs.chmod(0o777)
    below, link = theirs / "app", theirs / "link"
    link.symlink_to(below)
    paths = map(str, (tmp_path / "root", theirs, below, link))
    done = subprocess.run(
        [sys.executable, "-c", NOT_OURS, *paths],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    volume, own, linked = done.stdout.splitlines()
    assert f"queue names a directory of another user: {theirs}" in volume
    assert f"name one below it ({theirs}/NAME)" in volume
    assert own == "made"
    assert (below.stat().st_uid, mode(below)) == (NOBODY, 0o700)
    assert "symbolic link; name the directory that it leads to" in linked
