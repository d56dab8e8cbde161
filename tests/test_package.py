"""The package as a whole: its names, its rooms, its types."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import rudder_logging
from rudder_logging import exceptions

PACKAGE = Path(rudder_logging.__file__).parent

# Who may import whom: a module imports only what stands further down.
ORDER = [
    "__main__",
    "cli.__init__",
    "cli._group",
    "cli._serve",
    "cli._send",
    "cli._replay",
    "cli._engine",
    "cli._shipper",
    "cli._display",
    "cli._progress",
    "cli._spool",
    "cli._erasure",
    "cli._holdings",
    "cli._doctor",
    "cli._doctor_visit",
    "cli._doctor_report",
    "cli._doctor_celery",
    "cli._doctor_config",
    "cli._doctor_messages",
    "cli._doctor_network",
    "cli._doctor_disk",
    "cli._doctor_logging",
    "cli._doctor_probes",
    "cli._doctor_remarks",
    "cli._doctor_sigterm",
    "cli._doctor_tree",
    "cli._doctor_findings",
    "cli._sources",
    "cli._stored",
    "cli._moments",
    "cli._common",
    "__init__",
    "pytest_plugin",
    "testing.watch",
    "testing.__init__",
    "testing.diversion",
    "testing.layers",
    "testing.recorder",
    "testing.matching",
    "dataplane.live.__init__",
    "dataplane.live.plane",
    "dataplane.live.routes",
    "dataplane.live.guards",
    "dataplane.live.stream",
    "dataplane.live.feed",
    "dataplane.live.judges",
    "dataplane.live.entries",
    "dataplane.__init__",
    "dataplane.server",
    "dataplane.inbox",
    "dataplane.protocol",
    "dataplane.responses",
    "dataplane.faults",
    "dataplane.dialects",
    "dataplane.gateway",
    "dataplane.documents",
    "analytics",
    "handler.dispatch",
    "handler.flushing",
    "handler.settings",
    "handler.handler",
    "handler.files",
    "handler.stdlib",
    "handler.before_send",
    "events.filters",
    "events.formatter",
    "events.records",
    "events.compiled",
    "events.context",
    "handler.pipeline",
    "process.lifecycle",
    "process.workers",
    "delivery.listener",
    "delivery.sender",
    "delivery.batch_limit",
    "sinks.gateway.body",
    "sinks.gateway.transport",
    "sinks.gateway.guard",
    "sinks.gateway.compression",
    "sinks.gateway.network_errors",
    "sinks.gateway.outcomes",
    "events.types",
    "config.__init__",
    "config.parsers",
    "delivery.reports",
    "delivery.dead_letters",
    "delivery.ledger",
    "delivery.retry",
    "queues.__init__",
    "queues.opening",
    "queues.memory",
    "queues.file.__init__",
    "queues.file.backlog",
    "queues.file.window",
    "queues.settled",
    "queues.file.store",
    "queues.eviction",
    "queues.file.spool",
    "queues.file.left",
    "queues.file.segments",
    "queues.file.files",
    "queues.base",
    "queues.urls",
    "common.private_files",
    "common.stderr",
    "common.given_files",
    "common.dictconfig",
    "common.printable",
    "checks.warehouse",
    "checks.keywords",
    "checks.plan",
    "checks.schemas",
    "common.locks",
    "common.clock",
    "events.table",
    "events.fields",
    "events.ids",
    "events.lines",
    "events.encoding",
    "exceptions",
    "_version",
    "events.__init__",
    "handler.__init__",
    "process.__init__",
    "delivery.__init__",
    "sinks.__init__",
    "sinks.gateway.__init__",
    "checks.__init__",
    "common.__init__",
]


def modules() -> list[str]:
    """All modules, as `ORDER` names them."""
    return [
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
    ]


def imports_of(module: str) -> set[str]:
    """The package's own modules that a module imports, functions and all."""
    path = PACKAGE / (module.replace(".", "/") + ".py")
    package = module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{target}.{alias.name}".lstrip(".")
                name = inner if {inner, f"{inner}.__init__"} & set(ORDER) else target
                found.add(name if name in ORDER else f"{name}.__init__".lstrip("."))
    return found


def test_every_module_has_its_room() -> None:
    """A new module is given its place in the order."""
    assert sorted(modules()) == sorted(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_arrows_point_down(module: str) -> None:
    """No module imports one that stands above it."""
    below = set(ORDER[ORDER.index(module) + 1 :])
    assert imports_of(module) <= below


def test_docstring_lists_every_file() -> None:
    """The package's docstring leads a reader through all files."""
    text = rudder_logging.__doc__ or ""
    for module in ORDER:
        first = module.split(".")[0]
        if first not in ("__init__", "_version"):
            assert f"`{first}" in text, first


def test_all_names_are_there_and_documented() -> None:
    """Each public name exists and has a docstring."""
    for name in rudder_logging.__all__:
        thing = getattr(rudder_logging, name)
        assert isinstance(thing, (str, dict)) or thing.__doc__, name
    for _, name, _ in pkgutil.walk_packages([str(PACKAGE)], "rudder_logging."):
        module = importlib.import_module(name)
        assert module.__doc__, name
        for public in getattr(module, "__all__", []):
            assert hasattr(module, public), (name, public)


def test_all_exceptions_are_exported_and_drawn() -> None:
    """The tree at the top of exceptions.py shows every class, and the package exports each."""
    drawn = set(re.findall(r"\b([A-Z]\w+(?:Error|Warning))\b", exceptions.__doc__ or "")) - {
        "ValueError",
        "TypeError",
        "UserWarning",
    }
    assert drawn == set(exceptions.__all__)
    assert drawn <= set(rudder_logging.__all__)


def test_modules_stay_small() -> None:
    """A module that outgrows 600 lines holds two rooms."""
    sizes = {path.name: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size > 600} == {}


def test_the_tests_that_hold_the_rules_exist() -> None:
    """The table of rules names real tests, and has all twelve rules."""
    tests = PACKAGE.parent / "tests"
    text = (tests / "README.md").read_text()
    defined = {
        name
        for path in tests.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", text)) <= defined
    rows = re.findall(r"^\| (\d+)\. [^|]*\| ([^|]*) \|", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    assert all("`test_" in named for _, named in rows)
