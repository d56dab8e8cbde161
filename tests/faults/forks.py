"""Forks and multiprocessing."""

from __future__ import annotations

import json

from .stage import PRELUDE, Stage

__all__ = ["BURIED", "dead_letters", "executor", "fork", "fork_in_a_burst", "multiprocessing"]

# From 3.12, a fork in a process with threads warns; that is what is under test.
_FORKS = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
_ANY_FORK_WARNING = r"(.*DeprecationWarning: [^\n]*fork[^\n]*\n[^\n]*\n)*"


def fork(stage: Stage) -> None:
    """The parent has a backlog, the children log at once and end by sys.exit or by their end."""
    stage.run(
        """
        log(range(100))
        children = []
        for index in range(3):
            child = os.fork()
            if not child:
                log(range(200 + 100 * index, 300 + 100 * index))
                sys.exit(0)
            children.append(child)
        log(range(100, 200))
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        """,
        _FORKS + PRELUDE,
        upload_interval=60,
        upload_size=10_000,
    )


def fork_in_a_burst(stage: Stage) -> None:
    """Forks while other threads of the parent log, deliver, and hold whatever locks there are."""
    stage.run(
        """
        threads = [
            threading.Thread(target=log, args=(range(1000 * n, 1000 * (n + 1)),)) for n in range(2)
        ]
        for thread in threads:
            thread.start()
        children = []
        for number in range(2000, 2010):
            child = os.fork()
            if not child:
                log([number])
                # Other threads' joins have no meaning here; the exit hooks have.
                sys.exit(0)
            children.append(child)
        for thread in threads:
            thread.join()
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        """,
        _FORKS + PRELUDE,
        upload_interval=0.01,
        upload_size=10,
    )


_WORK = """
import concurrent.futures, logging, multiprocessing, sys
from tests.faults.child import log, wire

def work(numbers):
    if not logging.getLogger("app").handlers:  # a spawned child begins from nothing
        wire()
    log(numbers)
"""


def multiprocessing(stage: Stage, *, method: str) -> None:
    """Children by one start method; they end without a flush, and without exit hooks."""
    stage.run(
        f"""
        if __name__ == "__main__":
            wire()
            log(range(100))
            context = multiprocessing.get_context({method!r})
            chunks = [range(n, n + 100) for n in (100, 200, 300)]
            children = [context.Process(target=work, args=(chunk,)) for chunk in chunks]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
        """,
        _WORK,
        strict=False,
        says=_ANY_FORK_WARNING,
    )


def executor(stage: Stage, *, method: str) -> None:
    """The workers of a ProcessPoolExecutor, by one start method."""
    stage.run(
        f"""
        if __name__ == "__main__":
            wire()
            log(range(100))
            context = multiprocessing.get_context({method!r})
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
                list(pool.map(work, [range(n, n + 10) for n in range(100, 400, 10)]))
        """,
        _WORK,
        strict=False,
        says=_ANY_FORK_WARNING,
    )


BURIED = frozenset(range(0, 400, 10))
"""Events that the server refuses, of four hundred."""


def dead_letters(stage: Stage) -> None:
    """A parent and three children write into one dead-letter file at the same time."""
    stage.plane.fail_for(lambda event: event["properties"]["n"] in BURIED, 400, "invalid json")
    stage.run(
        """
        children = []
        for first in (100, 200, 300):
            child = os.fork()
            if not child:
                log(range(first, first + 100), size=2_000)
                sys.exit(0)
            children.append(child)
        log(range(100), size=2_000)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        """,
        _FORKS + PRELUDE,
        says="(event [^\n]* refused[^\n]*\n){40}",
        dead_letter="letters",
    )
    path = stage.directory / "letters"
    assert path.stat().st_mode & 0o777 == 0o600
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    told = {line.details[:2] for line in stage.noted("dropped")}
    assert len(letters) == len(told)
    messages = [letter["message"] for letter in letters]
    assert {(one["properties"]["n"], one["messageId"]) for one in messages} == told
