"""The dashboard and the alert rules ask for what is exported, and for all of it."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.measures import EXPECTED, LOSSES, MEASURES
from rudder_logging.metrics import collector
from rudder_logging.relay.metrics import Metrics

from ..conftest import WRITE_KEY, MakeHandler
from ..guides.pages import FOLDER
from ..relay.feeds import feeding
from .queries import ALERTS, DASHBOARD, Query, alerts, exported, panels, queries
from .scraping import serving

RULES = [rule for rules in alerts().values() for rule in rules]
VARIABLES = {"server", "handler", "source"}


@pytest.fixture(scope="module")
def known() -> Any:
    """All that is exported."""
    with LocalDataPlane(WRITE_KEY) as plane, feeding(plane) as feed:
        feed.dropped(1, "unreadable")
        page, _ = Metrics([feed]).page("")
    return exported(page.decode())


def test_alerts_ask_for_what_is_exported(known: Any) -> None:
    """Name, labels and kind of each series, and the labels that a text shows."""
    for rule in RULES:
        assert rule.query.faults(known) == [], rule.name
        kept = [by for by in rule.query.groupings() if by]
        for by in kept:
            assert rule.labels_shown <= by, rule.name
        assert kept or not rule.labels_shown, rule.name
    assert max(Counter(rule.name for rule in RULES).values()) == 1


def test_dashboard_asks_for_what_is_exported(known: Any) -> None:
    """With the variables that it has, and for each label of them."""
    for query in queries():
        assert query.faults(known) == [], query.text
        for name, conditions in query.selectors():
            wanted = {
                label: ("MatchOp.Re", f"${label}") for label in known[name].labels & VARIABLES
            }
            assert wanted.items() <= conditions.items(), query.text
            assert wanted, query.text


def test_dashboard_shows_all_that_is_exported(known: Any) -> None:
    """A new number needs a place on it."""
    shown = {name for query in queries() for name, _ in query.selectors()}
    parts = {"rudder_relay_upload_seconds_count", "rudder_relay_upload_seconds_sum"}
    assert set(known) - parts == shown


def test_legends_have_the_labels_that_are_kept() -> None:
    """Others would be shown as nothing."""
    for panel in panels():
        for target in panel["targets"]:
            kept = set().union(*Query(target["expr"]).groupings())
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_dashboard_fits_together() -> None:
    """Ids are different, no panel lies over another, and each asks the source that one chooses."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert max(Counter(panel["id"] for panel in dashboard["panels"]).values()) == 1
    taken = Counter(
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) < 24
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert set(variables) == VARIABLES | {"datasource"}
    sources = [part["datasource"] for panel in panels() for part in (panel, *panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    for panel in panels():
        assert panel["title"]
        assert panel["description"]


def test_variables_are_read_from_what_is_exported(known: Any) -> None:
    """The values that one can choose are labels that are there."""
    dashboard = json.loads(DASHBOARD.read_text())
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert asked
            assert asked[2] == variable["name"]
            assert asked[2] in known[asked[1]].labels


@pytest.mark.parametrize(
    "queries_of", [queries, lambda: [rule.query for rule in RULES]], ids=["dashboard", "alerts"]
)
def test_losses_are_told_from_drops_that_were_asked_for(queries_of: Any) -> None:
    """Where reasons are left out, these are all those, and no other."""
    left_out = [
        conditions["reason"]
        for query in queries_of()
        for name, conditions in query.selectors()
        if name == "rudder_events_dropped_total" and "reason" in conditions
    ]
    assert left_out
    for operator, pattern in left_out:
        assert operator == "MatchOp.NotRe"
        assert [one for one in EXPECTED if not re.fullmatch(pattern, one)] == []
        assert [one for one in LOSSES if re.fullmatch(pattern, one)] == []


def test_guides_show_the_rules() -> None:
    """Those of apps and those of relays stand in their guides as in the file."""
    texts = [(FOLDER / name).read_text() for name in ("metrics.md", "relay-operations.md")]
    blocks = [
        yaml.safe_load(block)
        for text in texts
        for block in re.findall(r"```yaml\n(groups:\n.*?)```", text, flags=re.DOTALL)
    ]
    shown = list(itertools.chain.from_iterable(block["groups"] for block in blocks))
    assert shown == yaml.safe_load(ALERTS.read_text())["groups"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rudder_nothing", "no such metric: rudder_nothing"),
        ('rudder_holding{host="a"}', "rudder_holding has no label host"),
        ("sum by (source) (rudder_holding)", "no label source"),
        ("rate(rudder_holding[5m])", "rudder_holding is no counter"),
        ("rudder_uploads_total > 1", "rudder_uploads_total is a counter: ask for its rate"),
    ],
)
def test_a_wrong_query_is_found(known: Any, text: str, fault: str) -> None:
    """Each kind of fault."""
    assert Query(text).faults(known) == [fault]


def test_what_is_no_query_is_refused() -> None:
    """By the parser."""
    with pytest.raises(ValueError, match="parenthesis"):
        Query("sum(rudder_holding")


def test_labels_of_apps_are_those_of_a_page(make_handler: MakeHandler, known: Any) -> None:
    """The table that queries are held against says what a scrape shows."""
    with serving(collector(make_handler())) as scrape:
        page = scrape()
    found = {name: frozenset(dict(labels)) for name, labels in page.samples}
    apps = {measure.prometheus + "_total" * measure.counts for measure in MEASURES}
    assert found == {name: known[name].labels for name in apps}
