"""The pytest plugin, as users' suites see it: each run is a process of its own."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests  # noqa: F401 - or a run in this process would import it a second time

from rudder_logging import pytest_plugin
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

HEAD = """
import logging
import os
import pytest
import rudder_logging
from rudder_logging import RudderHandler

def event(name="Order Completed", **fields):
    logging.getLogger("shop").info(name, extra={"rudder": {"user_id": "1", **fields}})

def lines(*handlers):
    shop = logging.getLogger("shop")
    shop.setLevel(logging.INFO)
    for handler in handlers:
        shop.addHandler(handler)
    return shop
"""


# The package's own module, so that what it executes is measured.
OWN = ("-p", "no:rudder_logging", "-p", "rudder_logging.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a file of tests, in a process of its own."""

    def run(code: str, *arguments: str, head: str = HEAD) -> pytest.RunResult:
        pytester.makepyfile(test_app=head + code)
        return pytester.runpytest_subprocess(*OWN, *arguments, timeout=150)

    return run


@pytest.fixture
def run_here(pytester: pytest.Pytester) -> Run:
    """Run it in this process, which takes a fraction of the time: where no state is in question."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_app=HEAD + code)
        return pytester.runpytest_inprocess(*OWN, *arguments)

    return run


def test_unused_it_imports_nothing(pytester: pytest.Pytester) -> None:
    """As installed: whoever does not use it pays for its own small module only."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_imported():
            assert "_rudder_logging_pytest" in sys.modules
            ours = {name.partition(".")[0] for name in sys.modules} & {
                "rudder_logging", "orjson", "pythonjsonlogger", "requests", "urllib3"
            }
            assert ours == set()
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_installed_module_is_the_packages() -> None:
    """It is a copy, made when the package is installed: if this fails, install it again."""
    installed = importlib.import_module("_rudder_logging_pytest")
    assert Path(str(installed.__file__)).read_text() == Path(pytest_plugin.__file__).read_text()


def test_it_can_be_loaded_by_both_names(pytester: pytest.Pytester) -> None:
    """As somebody does who does not know that it loads itself: there is still one guard."""
    pytester.makepyfile(
        test_app="""
        import sys

        def test_one_guard():
            names = ("_rudder_logging_pytest", "rudder_logging.pytest_plugin")
            one, other = (sys.modules[name].network for name in names)
            assert one is other
        """
    )
    done = pytester.runpytest_subprocess("-p", "rudder_logging.pytest_plugin")
    done.assert_outcomes(passed=1)


def test_events_are_recorded_whatever_logging_does(run: Run) -> None:
    """Levels, `propagate`, `dictConfig`, `logging.disable`; calls, tasks and TestCases; caplog."""
    done = run(
        """
import logging.config, unittest

@pytest.fixture(params=["quiet", "mute", "disable", "config"])
def change(request):
    shop, root = logging.getLogger("shop"), logging.getLogger()
    before = shop.level, shop.propagate, root.level
    if request.param == "quiet":
        root.setLevel(logging.WARNING)
    elif request.param == "mute":
        shop.propagate = False
    elif request.param == "disable":
        logging.disable(logging.CRITICAL)
    yield request.param
    logging.disable(logging.NOTSET)
    shop.level, shop.propagate, root.level = before
    shop.disabled = False

def test_seen(rudder_events, change):
    if change == "config":
        logging.config.dictConfig({"version": 1, "root": {"level": "WARNING"}})
    event()
    rudder_logging.track("2", "Article Read")
    rudder_events.one(event="Order Completed", user_id="1")
    rudder_events.one(type="track", event="Article Read")

def test_caplog(rudder_events, caplog):
    caplog.set_level(logging.INFO)
    event()
    assert caplog.messages == ["Order Completed"]
    assert caplog.records[0].rudder == {"user_id": "1"}
    assert len(rudder_events) == 1

@pytest.mark.anyio
async def test_task(rudder_events):
    event()
    assert len(rudder_events) == 1

class TestShop(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def record(self, rudder_events):
        self.events = rudder_events

    def test_case(self):
        event()
        self.assertEqual(len(self.events), 1)

def test_sent_again():
    handler = RudderHandler("key", "http://127.0.0.1:9", send=False)
    lines(handler)
    event()
    assert handler.stats().dropped == {"send_off": 1}

def test_nothing_was_left_behind(rudder_events):
    assert not rudder_events
""",
        "-W",
        "error",
    )
    done.assert_outcomes(passed=9)


def test_failures_are_readable(run_here: Run) -> None:
    """What differs is in the text, and in one line where there is one."""
    done = run_here(
        """
def test_nearest(rudder_events):
    event(properties={"total": 4.9})
    rudder_events.one(type="track", event="Order Completed", properties={"total": 5})

def test_selection(rudder_events):
    event()
    assert rudder_events.track("Order Cancelled")

def test_none(rudder_events):
    event()
    assert not rudder_events

def test_plan(rudder_events):
    event(properties={"total": "5"})
    rudder_events.conforms_to("plan.json")
""",
        "--tb=short",
    )
    done.assert_outcomes(failed=4)
    done.stdout.fnmatch_lines(
        [
            "E   AssertionError: no track event with event='Order Completed', properties=*5}.*",
            "E     track 'Order Completed' by '1', at test_app.py:8",
            "E       properties.total is 4.9, not 5",
            "E   AssertionError: assert <no track event with event='Order Cancelled' among 1*",
            "E   AssertionError: assert not <1 event: track 'Order Completed' by '1' at test_app*>",
            "E   *ConfigError: plan.json can't be read: No such file or directory",
        ]
    )
    done.stdout.no_fnmatch_line("*testing.py:*")  # the way inside is of no interest


def test_plan_may_stand_beside_the_test(pytester: pytest.Pytester, run_here: Run) -> None:
    """Wherever pytest is started."""
    below = pytester.mkdir("below")
    (below / "plan.json").write_text(
        '{"events": [{"name": "A", "schema": {"properties": {"n": {"type": "integer"}}}}]}'
    )
    (below / "test_below.py").write_text(
        f"""{HEAD}
def test_conforms(rudder_events):
    event("A", properties={{"n": 1}})
    rudder_events.track("A").conforms_to("plan.json")

def test_breaks(rudder_events):
    event("A", properties={{"n": "1"}})
    rudder_events.conforms_to("plan.json")
"""
    )
    done = run_here("")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "E * 1 of 1 events does not conform to *plan.json:",
            "E * track 'A' by '1', at *: properties.n must be an integer, and is a string",
        ]
    )


def test_refused_event_fails_the_test_at_its_end(run_here: Run) -> None:
    """With the reason; unless it was expected or raised, or the test is marked."""
    done = run_here(
        """
def test_refused(rudder_events):
    event(usr="SECRET")

def test_raised(rudder_events, rudder_data_plane):
    lines(RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url))
    with pytest.raises(ValueError, match="no id"):
        rudder_logging.EventLogger(logging.getLogger("shop")).track(event="X")
    with rudder_events.expect_invalid("no id"):
        rudder_logging.track(None, "X")
    logging.getLogger("shop").handlers.clear()

def test_raised_with_a_plane(rudder_data_plane):
    lines(RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url))
    with pytest.raises(ValueError, match="no id"):
        rudder_logging.EventLogger(logging.getLogger("shop")).track(event="X")
    logging.getLogger("shop").handlers.clear()

def test_expected(rudder_events):
    with rudder_events.expect_invalid("unknown field"):
        event(usr="SECRET")

@pytest.mark.rudder_unchecked
def test_unchecked(rudder_events):
    event(usr="SECRET")
""",
        "--strict-markers",
        "--show-capture=no",
    )
    done.assert_outcomes(passed=5, errors=1)
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_refused*",
            "1 event was refused at the call, and would be lost:",
            "  event refused at */test_app.py:*: track: unknown field 'usr'; did you mean *",
            "If that is meant, put the call into a block `with events.expect_invalid():`.",
        ]
    )
    done.stdout.no_fnmatch_line("*Traceback*")
    done.stdout.no_fnmatch_line("During handling*")


def test_data_plane_is_shared_and_cleared(run: Run) -> None:
    """One per session, with nothing of the test before; what waits is delivered first."""
    done = run(
        """
ports = []

@pytest.fixture
def handler(rudder_data_plane):
    handler = RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url)
    lines(handler)
    yield handler
    logging.getLogger("shop").removeHandler(handler)

@pytest.mark.parametrize("number", range(2))
def test_arrives(rudder_data_plane, handler, number):
    ports.append(rudder_data_plane.port)
    assert rudder_data_plane.events == []
    event(properties={"n": number})
    (arrived,) = rudder_data_plane.wait_for(1)
    assert arrived["properties"] == {"n": number}

def test_fails_and_waits(rudder_data_plane, handler):
    rudder_data_plane.fail(503, times=None)
    event()  # and is delivered at the end, when the plane is well again

def test_same_plane_and_well(rudder_data_plane, handler):
    assert set(ports) == {rudder_data_plane.port}
    event()
    assert handler.flush()
    assert len(rudder_data_plane.events) == 1
"""
    )
    done.assert_outcomes(passed=4)


def test_data_plane_of_an_older_version(run: Run) -> None:
    """A test may ask for one, or turn the fixture's into one; the next test has the newest."""
    done = run(
        """
@pytest.mark.parametrize("rudder_data_plane", ["1.45"], indirect=True)
def test_asked_for(rudder_data_plane):
    assert rudder_data_plane.dialect == "1.45"

def test_set(rudder_data_plane):
    assert rudder_data_plane.dialect == "1.66"
    rudder_data_plane.dialect = "1.45"

def test_as_before(rudder_data_plane):
    assert rudder_data_plane.dialect == "1.66"
"""
    )
    done.assert_outcomes(passed=3)


def test_lost_event_fails_the_test(run: Run) -> None:
    """Refused at the call, refused by the data plane, lost behind it, or not accounted for."""
    done = run(
        """
@pytest.fixture
def handler(rudder_data_plane):
    handler = RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url)
    lines(handler)
    yield handler
    logging.getLogger("shop").removeHandler(handler)
    handler.close()

def poison(plane):
    plane.fail_for(lambda event: True, 400, "event is not a valid rudder event")

def test_call(handler):
    event(usr="SECRET")

def test_refused(handler, rudder_data_plane):
    poison(rudder_data_plane)
    event()

@pytest.mark.rudder_unchecked
def test_unchecked(handler, rudder_data_plane):
    poison(rudder_data_plane)
    event()

def test_unbalanced(handler):
    event()
    handler._ledger.count_accepted()

def test_held(rudder_data_plane):
    handler = RudderHandler("another-key", rudder_data_plane.url, shutdown_timeout=0.2)
    shop = lines(handler)
    event()
    handler.flush(0.5)
    shop.removeHandler(handler)

def test_behind(rudder_data_plane):
    import requests
    url, key = f"{rudder_data_plane.url}/v1/track", (rudder_data_plane.write_key, "")
    assert requests.post(url, json={"userId": "1"}, auth=key).status_code == 200

def test_well(handler):
    event()
""",
        "--show-capture=no",
    )
    done.assert_outcomes(passed=7, errors=5)
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_call*",
            "events were lost, or are not accounted for:",
            "  refused at the call, and lost: event refused at */test_app.py:*: *field 'usr'*",
            "If that is meant, mark the test with rudder_unchecked.",
            "*ERROR at teardown of test_refused*",
            "  the data plane refused 1 event of <RudderHandler to http://127.0.0.1:*>",
            "  the data plane's words: 400 'event is not a valid rudder event'",
            "*ERROR at teardown of test_unbalanced*",
            "  the ledger of <RudderHandler to *> does not balance: Stats(accepted=2, delivered=1*",
            "*ERROR at teardown of test_held*",
            "  1 event of <RudderHandler to *> did not arrive: 401 'invalid write key'; check *",
            "*ERROR at teardown of test_behind*",
            "  stored, but lost behind the gateway: track: 'event' is missing; give it",
        ]
    )


def test_dropped_event_fails_the_test(run: Run) -> None:
    """For want of retries, or of room; what the app itself drops does not."""
    done = run(
        """
@pytest.fixture
def made(rudder_data_plane):
    def made(host="127.0.0.1", **options):
        url = f"http://{host}:{rudder_data_plane.port}"
        handlers.append(RudderHandler(rudder_data_plane.write_key, url, **options))
        lines(*handlers)
        return handlers[-1]
    handlers = []
    yield made
    logging.getLogger("shop").handlers.clear()

def test_retries(made, rudder_data_plane):
    handler = made(max_retries=0)
    rudder_data_plane.fail(503, times=3)
    event()
    handler.flush()

def test_room(made, rudder_data_plane):
    rudder_data_plane.fail(503, times=None)  # so that the first one stays
    made(max_queue_size=1)
    for _ in range(3):
        event()

def test_held_by_another_name(made, rudder_data_plane):
    rudder_data_plane.fail(503, times=None)
    made(host="localhost", upload_interval=50)
    event()  # is delivered at the end, when the plane is well again

def test_behind_it(rudder_data_plane):
    assert len(rudder_data_plane.requests) == 0

def test_held(rudder_data_plane):
    url = f"http://localhost:{rudder_data_plane.port}"
    shop = lines(RudderHandler("another-key", url, shutdown_timeout=0.2))
    event()
    shop.handlers.clear()

def test_meant(made):
    made(before_send=lambda message: None)
    made(send=False)
    event()
""",
        "--show-capture=no",
    )
    done.assert_outcomes(passed=6, errors=3)
    done.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_retries*",
            "  1 event of <RudderHandler to *> did not arrive: retries_exhausted",
            "*ERROR at teardown of test_room*",
            "  2 events of <RudderHandler to *> did not arrive: queue_full",
            "*ERROR at teardown of test_held *",
            "  1 event of <RudderHandler to *> did not arrive: 401 *",
        ]
    )


NAMES = """
import socket

ask = socket.getaddrinfo
# A name that is not this machine's, as far as its name says.
socket.getaddrinfo = lambda host, *rest, **options: ask(
    "127.0.0.1" if host.endswith(".example.com") else host, *rest, **options
)
"""


def test_events_for_other_hosts_stay_unless_marked(run: Run, plane: LocalDataPlane) -> None:
    """Nothing leaves for a host that is not loopback, and that is told; nobody waits for it."""
    done = run(
        f"""{NAMES}
import time

def shop(name, **options):
    url = f"http://{{name}}.example.com:{plane.port}"
    handler = RudderHandler({WRITE_KEY!r}, **{{"data_plane_url": url, **options}})
    lines(handler)
    return handler

@pytest.fixture(autouse=True)
def clean():
    yield
    logging.getLogger("shop").handlers.clear()

def test_kept():
    handler = shop("kept", shutdown_timeout=60)
    started = time.monotonic()
    event("Kept")
    assert handler.flush()
    assert time.monotonic() - started < 30
    assert handler.stats().dropped == {{"kept_back": 1}}
    assert handler.stats().balanced

def test_by_proxy():
    url = "http://proxy.example.com:{plane.port}"
    handler = shop("", data_plane_url="http://localhost:9", proxies={{"http": url}})
    event("Proxied")
    assert handler.flush()
    assert handler.stats().dropped == {{"kept_back": 1}}

def test_forgotten():
    shop("forgotten")
    event("Of a handler that is forgotten")

def test_waiting():
    global alive
    alive = shop("waiting", upload_interval=50)
    for _ in range(2):
        event("Before a test that is marked")

@pytest.mark.rudder_network
def test_marked():
    handler = shop("marked")
    event("Marked")
    assert handler.flush()
    assert handler.stats().delivered == 1
    assert alive.flush()
    assert alive.stats().dropped == {{"kept_back": 2}}

def test_ending():
    global alive
    alive = shop("ending", upload_interval=50)
    for _ in range(3):
        event("At the end of the session")
""",
        "--strict-markers",
    )
    assert done.parseoutcomes()["passed"] == 6
    assert [event["event"] for event in plane.events] == ["Marked"]
    # One warning may have two hosts.
    for kept in (
        "1 event from kept",
        "1 event from proxy",
        "1 event from forgotten",
        "2 events from waiting",
        "3 events from ending",
    ):
        done.stdout.fnmatch_lines([f"*: rudder_logging kept *{kept}.example.com*not loopback*"])
    assert "marked.example.com" not in done.stdout.str()


def test_marked_tests_may_share_a_handler(run: Run, plane: LocalDataPlane) -> None:
    """What one of them logs leaves, be it while the next one runs."""
    done = run(
        f"""{NAMES}
pytestmark = pytest.mark.rudder_network

@pytest.fixture(scope="module")
def handler():
    url = "http://marked.example.com:{plane.port}"
    handler = RudderHandler({WRITE_KEY!r}, url, upload_interval=50)
    lines(handler)
    yield handler
    assert handler.flush()

@pytest.mark.parametrize("name", "ABC")
def test_marked(handler, name):
    event(name)
""",
        "-W",
        "error",
    )
    done.assert_outcomes(passed=3)
    assert [event["event"] for event in plane.events] == ["A", "B", "C"]


def test_a_test_is_told_of_its_own_events_alone(run: Run, plane: LocalDataPlane) -> None:
    """Not the marked one behind it, which finds in its way neither an error nor a queue."""
    url = plane.url.replace("127.0.0.1", "hosted.example.com")
    done = run(
        f"""{NAMES}
@pytest.fixture(autouse=True)
def clean():
    yield
    logging.getLogger("shop").handlers.clear()

def test_durable(tmp_path):
    global durable, requests
    durable = RudderHandler(
        {WRITE_KEY!r}, {url!r}, queue=f"file://{{tmp_path}}/spool", upload_interval=0.01
    )
    lines(durable)
    event("Of a queue that keeps it")
    while not durable.stats().holding:
        pass
    requests = durable.stats().requests

def test_not_marked():
    global alive
    alive = RudderHandler({WRITE_KEY!r}, {url!r}, upload_interval=50)
    lines(alive)
    event("Of a test that is not marked")

@pytest.mark.rudder_network
def test_marked():
    assert durable.stats().requests == requests  # nobody has woken it
    assert durable.stats().pending == 1

def test_end():
    assert durable.stats().requests == requests
""",
        "-W",
        "error::rudder_logging.KeptBackWarning",
    )
    done.assert_outcomes(passed=4, errors=2)
    done.stdout.fnmatch_lines(["ERROR *::test_durable*", "ERROR *::test_not_marked*"])
    assert plane.events == []


def test_environment_is_left_as_it_was(pytester: pytest.Pytester) -> None:
    """Whoever runs pytest in its own process, as a test may, goes on as before."""
    pytester.makepyfile("def test_nothing(): pass")
    code = """
import os, pytest
name = "_RUDDER_LOGGING_KEEPS_EVENTS"
os.environ.pop(name)  # this test's own
class Look:
    def pytest_runtest_call(self):
        self.seen = os.environ[name]
look = Look()
assert pytest.main(["-p", "no:cacheprovider"], plugins=[look]) == 0
assert look.seen and name not in os.environ
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50, cwd=pytester.path)


def test_session_ends_with_a_queue_that_is_kept(
    run: Run, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """A durable queue keeps its events for whoever may send them; the end does not wait for it."""
    url = plane.url.replace("127.0.0.1", "hosted.example.com")
    spool = tmp_path / "spool"
    done = run(
        f"""{NAMES}
def test_kept():
    handler = RudderHandler(
        {WRITE_KEY!r}, {url!r}, queue="file://{spool}", upload_interval=0.01, shutdown_timeout=50
    )
    lines(handler)
    event("Spooled")
""",
        "-W",
        "error",
    )
    assert done.duration < 40  # so the process did not wait for it
    done.assert_outcomes(passed=1)
    done.stderr.fnmatch_lines(["rudder_logging kept a queue from hosted.example.com, *"])
    assert plane.events == []
    code = f"""{NAMES}
from rudder_logging import RudderHandler
handler = RudderHandler({WRITE_KEY!r}, {url!r}, queue="file://{spool}")
assert handler.flush()
"""
    environ = {k: v for k, v in os.environ.items() if k != "_RUDDER_LOGGING_KEEPS_EVENTS"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50, env=environ)
    assert [event["event"] for event in plane.events] == ["Spooled"]


def test_lint_warns_as_pytest_users_expect(run: Run) -> None:
    """`pytest.warns`, the summary with the app's own line, and warnings that are errors."""
    done = run(
        """
from rudder_logging import WarehouseWarning

def test_expected(rudder_events):
    with pytest.warns(WarehouseWarning, match="properties.userId is dropped"):
        event(properties={"userId": 1})

def test_told(rudder_events):
    event(properties={"userId": 1})

@pytest.mark.filterwarnings("error")
def test_error(rudder_events):
    event(properties={"userId": 1})
"""
    )
    done.assert_outcomes(passed=2, failed=1, warnings=1)
    done.stdout.fnmatch_lines(
        [
            "E * track 'Order Completed': properties.userId is dropped*",
            "*test_app.py:*: WarehouseWarning: track 'Order Completed': properties.userId is drop*",
        ]
    )


def test_works_under_xdist(run: Run) -> None:
    """Each worker has a plane and a guard of its own; what they tell arrives."""
    pytest.importorskip("xdist")
    done = run(
        """
@pytest.mark.parametrize("number", range(2))
def test_recorded(rudder_events, number):
    event(properties={"n": number})
    rudder_events.one(properties={"n": number})

@pytest.mark.parametrize("number", range(2))
def test_sent(rudder_data_plane, number):
    handler = RudderHandler(rudder_data_plane.write_key, rudder_data_plane.url)
    shop = lines(handler)
    event(properties={"n": number})
    assert [one["properties"]["n"] for one in rudder_data_plane.wait_for(1)] == [number]
    shop.removeHandler(handler)

def test_kept():
    handler = RudderHandler("key", "https://hosted.example.com")
    shop = lines(handler)
    event()
    assert handler.flush()
    shop.removeHandler(handler)
""",
        "-n",
        "2",
    )
    done.assert_outcomes(passed=5, warnings=1)
    done.stdout.fnmatch_lines(["*KeptBackWarning: rudder_logging kept 1 event from hosted*"])


def test_missing_extra_says_what_to_install(run: Run) -> None:
    """Only whoever asks for the data plane needs it."""
    done = run(
        """
def test_recorded(rudder_events):
    event()
    assert rudder_events

def test_sent(rudder_data_plane):
    pass
""",
        head="import sys\nsys.modules['h11'] = None\n" + HEAD,
    )
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["*needs an extra: pip install 'rudder-logging[[]dataplane]'"])


def test_fixtures_and_markers_are_listed(pytester: pytest.Pytester) -> None:
    """With a line each that says what they are."""
    listed = pytester.runpytest_inprocess("--fixtures", "-p", "no:cacheprovider")
    listed.stdout.fnmatch_lines(["*The RudderStack events of the test, as they would be sent*"])
    listed = pytester.runpytest_inprocess("--markers", "-p", "no:cacheprovider")
    listed.stdout.fnmatch_lines(["@pytest.mark.rudder_network: *", "@pytest.mark.rudder_unch*"])


def test_a_call_without_settings_names_the_fixture(run: Run) -> None:
    """Whoever meets that in a test needs no settings, but a fixture."""
    result = run(
        """
def test_it():
    rudder_logging.track("1", "Article Read")
"""
    )
    result.stdout.fnmatch_lines(["*ConfigError: write_key is missing;*fixture rudder_events*"])


def test_failures_show_the_tests_own_line(run: Run) -> None:
    """No frame of ours stands between it and the message."""
    result = run(
        """
def test_one(rudder_events):
    rudder_events.one(event="A")

def test_wait(rudder_events):
    rudder_events.wait_for(1, timeout=0)

def test_conforms(rudder_events):
    event()
    rudder_events.conforms_to({"events": [{"type": "track", "name": "A"}]})

def test_plane(rudder_data_plane):
    rudder_data_plane.wait_for(1, timeout=0)

def test_requests(rudder_data_plane):
    rudder_data_plane.wait_for_requests(1, timeout=0)
""",
        "--tb=short",
    )
    result.assert_outcomes(failed=5)
    places = [line for line in result.outlines if re.match(r"\S+\.py:\d+: in ", line)]
    assert len(places) == 5
    assert all(place.startswith("test_app.py:") for place in places)
