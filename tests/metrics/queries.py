"""Queries in PromQL, held against the names, kinds and labels that are exported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rudder_logging.handler.measures import MEASURES

__all__ = ["ALERTS", "DASHBOARD", "Alert", "Query", "alerts", "exported", "panels", "queries"]

EXAMPLES = Path(__file__).parents[2] / "examples"
DASHBOARD = EXAMPLES / "grafana-dashboard.json"
ALERTS = EXAMPLES / "alert-rules.yml"

OF_SCRAPES = {"job", "instance"}
_OVER_COUNTERS = {"rate", "irate", "increase", "resets"}


@dataclass(frozen=True)
class Series:
    """What is known of a name on a page."""

    kind: str
    labels: frozenset[str]


def exported(page: str) -> dict[str, Series]:
    """All that apps export, and all that a page of a relay's has."""
    known = {
        measure.prometheus + "_total" * measure.counts: Series(
            "counter" if measure.counts else "gauge",
            frozenset({"server", "handler", *(["reason"] if measure.has_reasons else [])}),
        )
        for measure in MEASURES
    }
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            kind = "counter" if family.type == "histogram" else family.type
            known[sample.name] = Series(kind, frozenset(sample.labels))
    return known


class Query:
    """One query, parsed: it has to be PromQL, whatever Grafana puts in the place of variables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root = promql_parser.parse(text.replace("$__rate_interval", "5m"))

    def nodes(self) -> Iterator[Any]:
        """All parts."""
        found: list[Any] = []
        promql_parser.walk(self.root, found.append)
        yield from found

    def selectors(self) -> Iterator[tuple[str, dict[str, tuple[str, str]]]]:
        """Each series that is asked for, and its labels' conditions."""
        for node in self.nodes():
            if isinstance(node, promql_parser.VectorSelector):
                matchers = node.matchers.matchers
                yield node.name or "", {one.name: (str(one.op), one.value) for one in matchers}

    def groupings(self) -> Iterator[set[str]]:
        """The labels that each aggregation keeps."""
        for node in self.nodes():
            if isinstance(node, promql_parser.AggregateExpr):
                yield set(node.modifier.labels) if node.modifier else set()

    def faults(self, known: Mapping[str, Series]) -> list[str]:
        """Names and labels that nobody exports, and rates of what is no counter."""
        found = []
        labels: set[str] = set(OF_SCRAPES)
        for name, conditions in self.selectors():
            if name not in known:
                found.append(f"no such metric: {name}")
                continue
            labels |= known[name].labels
            found += [
                f"{name} has no label {label}"
                for label in conditions
                if label not in known[name].labels | OF_SCRAPES
            ]
        found += [f"no label {one}" for by in self.groupings() for one in sorted(by - labels)]
        return [*found, *self._wrong_kinds(known)]

    def _wrong_kinds(self, known: Mapping[str, Series]) -> Iterator[str]:
        ranged = set()
        for node in self.nodes():
            if isinstance(node, promql_parser.Call) and node.func.name in _OVER_COUNTERS:
                (over,) = node.args
                ranged.add(over.vector_selector.name)
        for name, _ in self.selectors():
            kind = known[name].kind if name in known else None
            if kind == "gauge" and name in ranged:
                yield f"{name} is no counter"
            elif kind == "counter" and name not in ranged:
                yield f"{name} is a counter: ask for its rate"


@dataclass(frozen=True)
class Alert:
    """A rule."""

    name: str
    query: Query
    summary: str

    @property
    def labels_shown(self) -> set[str]:
        """Those that its text has."""
        return set(re.findall(r"\{\{ \$labels\.(\w+) \}\}", self.summary))


def alerts() -> dict[str, list[Alert]]:
    """The rules of the example, by group."""
    return {
        group["name"]: [
            Alert(rule["alert"], Query(rule["expr"]), rule["annotations"]["summary"])
            for rule in group["rules"]
        ]
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
    }


def panels() -> list[dict[str, Any]]:
    """Those of the dashboard that show something."""
    dashboard = json.loads(DASHBOARD.read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """All of the dashboard's."""
    return [Query(target["expr"]) for panel in panels() for target in panel["targets"]]
