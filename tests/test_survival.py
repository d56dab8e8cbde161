"""The process survives what an app does to its own objects while they are being logged.

Each program is a process of its own, because what it guards against ends one.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

# Containers of every kind at several depths, with values of every kind that are not JSON's, which
# a function changes in all ways that move what is inside them.
APP = """
import dataclasses, decimal, enum, gc, io, logging, signal, sys, threading, time, uuid
from collections import OrderedDict, UserDict, defaultdict, deque
from datetime import date, datetime, timedelta, timezone, tzinfo
from rudder_logging import RudderFormatter, RudderHandler

class Zone(tzinfo):
    def utcoffset(self, moment):
        for _ in range(3):
            change()
        return timedelta(hours=1)

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Order:
    total: object
    lines: object

class Text:
    def __str__(self):
        change()
        return "text"

class Loop:
    def __init__(self):
        self.loop = self
    def __del__(self):
        change()

MAKERS = [
    decimal.Decimal,
    lambda n: datetime.now(timezone.utc),
    lambda n: datetime(2026, 1, 1, tzinfo=Zone()),
    lambda n: date(2026, 1, 1),
    lambda n: uuid.UUID(int=n),
    lambda n: uuid.UUID.__new__(uuid.UUID),
    lambda n: Colour.RED,
    lambda n: Order(decimal.Decimal(n), [decimal.Decimal(n)]),
    lambda n: Text(),
    lambda n: object(),
    lambda n: {n, "x"},
    lambda n: [decimal.Decimal(n)],
    lambda n: (decimal.Decimal(n),),
    lambda n: 2**60 + n,
    lambda n: chr(0xD800),
    lambda n: [n] * 50,
    str,
]
flat, rows, inner = {}, [], {}
shapes = [OrderedDict(), UserDict(), defaultdict(list), deque(), set()]
order = Order(flat, rows)
properties = {
    "flat": flat, "rows": rows, "inner": {"a": [{"b": inner}]}, "tuple": (flat, rows, inner),
    "shapes": shapes, "order": order, "vars": vars(order), "price": decimal.Decimal(1),
}
turn = 0

def change():
    global turn
    turn += 1
    n = turn
    make = MAKERS[n % len(MAKERS)]
    if n % 3:
        for i in range(40):
            flat[str(i + n % 50)] = make(i)
            inner[i] = make(i)
        rows[:] = [make(i) for i in range(100)]
        rows.append({"price": make(n), "at": make(n)})
        shapes[0][str(n)] = shapes[1][str(n)] = shapes[2][str(n)] = make(n)
        shapes[3].append(make(n))
        shapes[4].add(n)
        vars(order)[f"more{n % 100}"] = make(n)
    else:
        for container in (flat, rows, inner, *shapes):
            container.clear()
        for name in list(vars(order)):
            if name.startswith("more"):
                vars(order).pop(name, None)

def change_for_ever():
    while True:
        try:
            change()
        except Exception:
            pass

class Quiet(logging.StreamHandler):
    def handleError(self, record):
        pass

logging.raiseExceptions = False
logging.getLogger("rudder_logging").setLevel(logging.CRITICAL)
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.propagate = False
handler = RudderHandler("key", "http://127.0.0.1:9", send=False)
stream = Quiet(io.StringIO())
stream.setFormatter(RudderFormatter())
logger.addHandler(handler)
logger.addHandler(stream)

def log_until(end):
    while time.monotonic() < end:
        logger.info("Order Made", extra={"rudder": {"user_id": "u", "properties": properties}})
        context = {"properties": {"flat": flat}, "context": {"rows": rows}}
        logger.info("Order Made", extra={"rudder": {"user_id": "u", **context}})
        fields = {"type": "identify", "user_id": "u", "traits": flat}
        logger.info("x", extra={"rudder": fields})
        logger.info("no event", extra={"extra": properties})
        stream.stream.seek(0)
        stream.stream.truncate()
    print("alive", handler.stats().accepted > 0)
"""

CHANGES = {
    "threads": """
        for _ in range(2):
            threading.Thread(target=change_for_ever, daemon=True).start()
    """,
    "threads that take turns often": """
        sys.setswitchinterval(1e-5)
        for _ in range(2):
            threading.Thread(target=change_for_ever, daemon=True).start()
    """,
    "signal handlers": """
        def handle(number, frame):
            try:
                change()
            except Exception:
                pass
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    """,
    "callbacks of the garbage collector": """
        def collected(phase, info):
            try:
                change()
            except Exception:
                pass
        gc.callbacks.append(collected)
        gc.set_threshold(50)
    """,
    "finalizers": """
        gc.set_threshold(50)
        def litter():
            while True:
                Loop()
                time.sleep(0.0001)
        threading.Thread(target=litter, daemon=True).start()
    """,
}


@pytest.mark.parametrize("code", CHANGES.values(), ids=CHANGES)
@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGALRM")
def test_changes_of_what_is_logged_do_not_end_the_process(code: str) -> None:
    """Containers that hold values of all kinds, at all depths, in events and in other lines."""
    program = "\n".join(
        (APP, textwrap.dedent(code), "log_until(time.monotonic() + 3)", "import os; os._exit(0)")
    ).replace("import os; os._exit(0)", "sys.stdout.flush(); import os; os._exit(0)")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stdout) == (0, "alive True\n"), done.stderr[-2000:]
