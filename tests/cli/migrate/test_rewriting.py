"""Sources of any shape: the result runs, has the same events, and is not changed again."""

from __future__ import annotations

import ast

import libcst as cst
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rudder_logging.cli.migrate.names import SDKS
from rudder_logging.cli.migrate.remarks import remarks_on
from rudder_logging.cli.migrate.rewriting import rewritten
from rudder_logging.cli.migrate.uses import Source
from rudder_logging.testing import capture_events

from ...conftest import examples
from ...each import each


def move(text: str) -> str:
    """What becomes of a source."""
    return rewritten(Source(cst.parse_module(text), SDKS)).code


def remarks(text: str) -> list[str]:
    """What is to be done by hand."""
    return [remark.text for remark in remarks_on(Source(cst.parse_module(text), SDKS))]


CALL = '{}track("u", "e", {{"n": 1}})'
IMPORTS = {
    "import segment.analytics": "segment.analytics.",
    "import segment.analytics as sa  # the SDK": "sa.",
    "import os, segment.analytics as sa, sys": "sa.",
    "import segment.analytics.client; import segment.analytics": "segment.analytics.",
    "from segment import analytics": "analytics.",
    "from segment import (\n    analytics as events,\n)": "events.",
    "from segment.analytics import track, page as see": "",
    "from segment.analytics import (\n    join,  # the end\n    track,\n)": "",
    "from segment.analytics import \\\n    track": "",
    "import analytics": "analytics.",
    "import analytics as a": "a.",
    "import rudder_analytics": "rudder_analytics.",
    "from rudder_analytics import track": "",
    "import rudderstack.analytics": "rudderstack.analytics.",
    "import rudderstack.analytics as rudder_analytics": "rudder_analytics.",
    "from rudderstack import analytics as rudder_analytics": "rudder_analytics.",
    "from rudderstack.analytics import Client; client = Client('k', 'http://x', True)": "client.",
    "from rudderstack.analytics.client import Client as C; c = C('k', host='http://x')": "c.",
    "import rudderstack.analytics.client\n"
    "c = rudderstack.analytics.client.Client('k', 'http://x', thread=1)": "c.",
    "try:\n    import analytics\nexcept ImportError:\n    raise": "analytics.",
    "from importlib import import_module as track_\nfrom analytics.client import Client\n"
    "c = Client('k', 'http://x', False, 10, thread=2, upload_size=5)": "c.",
}
"""How a source may import an SDK, and what its calls begin with then."""
SHAPES = {
    "plain": "{imports}\n{call}\n",
    "in a function": "def f():\n    {imports_}\n    return None, {call}\n\n\nf()\n",
    "in a class": "{imports}\n\n\nclass A:\n\tdef f(self) :\n\t\t{call}  # now\n\n\nA( ).f()\n",
    "in a block": "if True:\n    {imports_}\n    [{call} for _ in range(1)]\n",
    "after others": (
        '"""A text on analytics.track"""\nimport os\n{imports}\nwith open(os.devnull) as f:'
        "\n    x = f'{{1}}'; {call}\n"
    ),
}


@each("shape", SHAPES)
@each("imports", IMPORTS)
def test_a_source_of_any_shape_runs(shape: str, imports: str) -> None:
    """Its calls are this package's, nothing is left of the SDK, and a second run finds nothing."""
    call = CALL.format(IMPORTS[imports])
    if "    " in shape and "\n" in imports and "import (" not in imports:
        return
    indented = imports.replace("\n", "\n    ")
    text = SHAPES[shape].format(imports=imports, imports_=indented, call=call)
    result = move(text)
    assert move(result) == result
    assert "segment" not in result
    assert "rudderstack" not in result
    with capture_events() as captured:
        exec(compile(result, "result", "exec"), {"__name__": "result"})
    assert [event["event"] for event in captured] == ["e"]


NOTHING = [
    "from . import analytics\nanalytics.track(1)\n",
    "from shop import analytics\nanalytics.track(1)\n",
    "import shop.segment.analytics\nshop.segment.analytics.join()\n",
    "import segment\nsegment.cut()\n",
    "def f(analytics):\n    analytics.join()\n",
    "class analytics:\n    pass\nanalytics.join()\n",
    "x = 'segment.analytics'\n",
    "patch('shop.analytics.track')\n",
    "import rudder_logging as analytics\nanalytics.track('u', timestamp=datetime.now())\n",
    "from rudder_logging import Client\nClient('k', 'u', thread=3)\n",
]


@each("text", NOTHING)
def test_what_is_no_sdks_stays(text: str) -> None:
    """Other modules and other names that are called so, and what has moved already."""
    assert move(text) == text


@settings(max_examples=examples(0.4))
@given(
    st.lists(st.sampled_from(list(IMPORTS)), max_size=4),
    st.lists(
        st.sampled_from(
            [
                *NOTHING,
                "x = 1 ;\n",
                "# analytics.join()\n",
                "def f(a, /, *, b=1): ...\n",
                "match x:\n    case 1: pass\n",
                "async def g():\n    async with a as b: await analytics.flush()\n",
                "print(f'{analytics.track!r:>{10}}')\n",
                "analytics.send = rudder_analytics.debug = True\n",
                "lambda: sa.join\n",
                "del analytics\n",
                "global_ = [*analytics.__dict__, a.default_client]\n",
                "@analytics.flush\ndef h(): pass\n",
                "\f\n",
            ]
        ),
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_a_source_has_the_result_parses(
    imports: list[str], others: list[str], random: object
) -> None:
    """And is not changed again; the remarks are made of whatever there is."""
    pieces = [*(f"{one}\n" for one in imports), *others]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    text = "".join(pieces)
    ast.parse(text)
    result = move(text)
    ast.parse(result)
    assert move(result) == result
    remarks(text)
    remarks(result)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "client.track('u', 'e', {}, {}, datetime.now())",
            "client.track('u', 'e', {}, {}, datetime.now().astimezone())",
        ),
        (
            "client.identify('u', timestamp=dt.datetime.today())",
            "client.identify('u', timestamp=dt.datetime.today().astimezone())",
        ),
        (
            "client.alias('p', 'u', {}, None, {'all': False, 'X': True})",
            "client.alias('p', 'u', {}, None, {'All': False, 'X': True})",
        ),
        ("client.track('u', 'e', {'all': 1})", "client.track('u', 'e', {'all': 1})"),
        ("client.track(*given, datetime.now())", "client.track(*given, datetime.now())"),
        (
            "other.track('u', timestamp=datetime.now())",
            "other.track('u', timestamp=datetime.now())",
        ),
        (
            "client.track('u', timestamp=datetime.now(timezone.utc))",
            "client.track('u', timestamp=datetime.now(timezone.utc))",
        ),
    ],
)
def test_what_means_another_thing_here_is_said_otherwise(before: str, after: str) -> None:
    """A naive time of this moment, which was local time; and `all`, which was Segment's `All`."""
    head = "import datetime as dt\nfrom datetime import datetime, timezone\n"
    text = f"{head}from {{}} import Client\nclient = Client('k')\n{{}}\n"
    moved = move(text.format("segment.analytics.client", before))
    assert moved == text.format("rudder_logging", after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("C('k', 'u')", "C('k', 'u')"),
        ("C('k', 'u', True, 5)", "C('k', 'u', debug=True, max_queue_size=5)"),
        ("C('k', thread=4)", "C('k')"),
        ("C(thread=4, write_key='k')", "C(write_key='k')"),
        ("C('k', 'u', *more, thread=4)", "C('k', 'u', *more, thread=4)"),
        ("C('k', **more)", "C('k', **more)"),
        ("C(\n    'k',\n    thread=4,\n)", "C(\n    'k',\n)"),
        ("C(\n    'k',  # key\n    thread=4  # many\n)", "C(\n    'k'  # many\n)"),
    ],
)
def test_arguments_of_a_client(before: str, after: str) -> None:
    """By name from the third on; `thread` goes."""
    text = "from {} import Client as C\nc = {}\n"
    moved = move(text.format("rudderstack.analytics.client", before))
    assert moved == text.format("rudder_logging", after)


def test_names_of_one_import_move_together() -> None:
    """`segment` is one name: while a part of the SDK that is not here is imported by it, all of
    the SDK stays; without that import, it moves.
    """
    part = "import segment.analytics.request\n"
    rest = "import segment.analytics\nsegment.analytics.track('u', 'e')\n"
    assert move(part + rest) == part + rest
    assert len(remarks(part + rest)) == 1
    assert move(rest) == rest.replace("segment.analytics", "rudder_logging")


@each(
    ("text", "words"),
    [
        ("import segment.analytics.request\n", "the SDK's own"),
        ("from segment.analytics import *\n", "import from rudder_logging by name"),
        ("import rudder_logging as a\na.default_client = None\n", "default_client has no"),
        ("import rudder_logging as a\na.endpoint = 'x'\n", "use data_plane_url"),
        ("from rudder_logging import Client\nok, m = Client().track(1)\n", ""),
        ("from rudder_logging import track\nok, m = track(1)\n", "returns the message id"),
        ("import analytics\nx = analytics.track(1)\n", "returns the message id"),
        ("import analytics\nanalytics.on_error = lambda e: None\n", "an error and a list"),
        ("import analytics\ndef f(e, i, x): ...\nanalytics.on_error = f\n", "an error and a list"),
        (
            "import analytics\npatch('shop.x.segment.analytics.track')\n",
            "if the SDK is meant in 'shop.x.segment.analytics.track', patch rudder_logging.track",
        ),
        ("import analytics\npatch('analytics.client.post')\n", "names what is not here"),
        (
            "import rudderstack.analytics as ra\nmock.patch.object(ra, 'default_client', None)\n",
            "default_client has no counterpart",
        ),
        (
            "import rudder_logging as ra\nmp.setattr(ra, 'default_client', None)\n",
            "default_client has no counterpart",
        ),
        ("from segment import analytics\nmp.setattr(analytics, 'join', f)\n", "called shutdown"),
        (
            "from segment.analytics import Client\nhost = Client.DefaultConfig.host\n",
            "Client.DefaultConfig has no counterpart",
        ),
        (
            "from rudder_logging import Client\nhost = Client.DefaultConfig.host\n",
            "Client.DefaultConfig has no counterpart",
        ),
        ("from segment.analytics import Client\nclass A(Client): ...\n", "another class"),
    ],
)
def test_what_is_left_is_told(text: str, words: str) -> None:
    """One remark on it, which says what to do; also on code that has moved already."""
    found = remarks(text)
    assert len(found) == (1 if words else 0), found
    assert all(words in text for text in found)


@each(
    "text",
    [
        "import rudderstack.analytics as ra\nx = ra.track(1)\n",  # it returned None
        "import rudder_logging as ra\nmessage_id = ra.track(1)\n",
        "import analytics\nanalytics.on_error = print\n",
        "import analytics\npatch.object(analytics, 'track')\npatch.object(analytics.Client, 'x')\n",
        "from segment.analytics import Client\nspied = Client.track\n",
        "import rudder_logging as ra\npatch.object(ra, 'flush')\n",
        "import analytics\ndef f(e, i, *, log=None): ...\nanalytics.on_error = f\n",
        "import analytics\nanalytics.on_error = lambda *a: None\n",
        "import analytics\nanalytics.host = 'https://rudder.example.com'\n",
        "import analytics\ntry:\n    analytics.track(1)\nexcept ValueError:\n    pass\n",
        "from segment.analytics import Client\nc = Client('k')\nc.flush()\nc.track(1)\n",
        "from rudder_logging import Client\nc = Client('k')\nc.stats()\nc.handler.stats()\n",
        "import rudder_logging\nrudder_logging.testing.capture_events()\n",
    ],
)
def test_what_moves_or_is_right_is_not_remarked_on(text: str) -> None:
    """Nobody has to look at it."""
    assert remarks(text) == []
