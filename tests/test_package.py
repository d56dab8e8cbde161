"""The package as a whole: its names, its rooms, its types."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import rudder_logging
from rudder_logging import exceptions

from .each import each

PACKAGE = Path(rudder_logging.__file__).parent

# The package's rooms, its files and folders, from top to bottom: a module imports from its own room
# and from those below.
ROOMS = [
    "__main__",
    "integrations",
    "cli",
    "pytest_plugin",
    "testing",
    "dataplane",
    "relay",
    "metrics",
    "__init__",
    "analytics",
    "handler",
    "delivery",
    "sinks",
    "config",
    "queues",
    "process",
    "privacy",
    "checks",
    "web",
    "guides",
    "events",
    "common",
    "exceptions",
    "_version",
]
MOST_ROOMS = 24
MOST_FLOORS = 12
MOST_LINES = 600


def modules() -> dict[str, Path]:
    """All modules: `__init__`, `analytics`, `queues.__init__`, `queues.memory` and so on."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }


def syntax_of(module: str) -> list[ast.AST]:
    """All nodes of a module, those of its functions included."""
    path = PACKAGE / (module.replace(".", "/") + ".py")
    return list(ast.walk(ast.parse(path.read_text())))


def imported_by(module: str) -> Iterator[tuple[str, list[str]]]:
    """Each name that a module imports from the package, and the parts of its full name."""
    package = [PACKAGE.name, *module.split(".")[:-1]]
    for node in syntax_of(module):
        target: list[str] = []
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = [*base, *(node.module.split(".") if node.module else [])]
        elif not isinstance(node, ast.Import):
            continue
        for alias in node.names:
            first, *parts = [*target, *alias.name.split(".")]
            if first == PACKAGE.name:
                yield alias.asname or alias.name, parts


def imports_of(module: str, known: Iterable[str]) -> set[str]:
    """The package's own modules that a module imports, functions and all."""
    found = set()
    for _name, parts in imported_by(module):
        ways = (parts, [*parts, "__init__"], parts[:-1], [*parts[:-1], "__init__"])
        found.add(next(way for way in map(".".join, ways) if way in known))
    return found


def patched_by(module: str, known: Iterable[str]) -> set[str]:
    """The package's own modules whose globals a module sets or deletes."""
    own = {
        name: ".".join(parts)
        for name, parts in imported_by(module)
        if ".".join(parts) in known or ".".join([*parts, "__init__"]) in known
    }
    return {
        own[node.value.id]
        for node in syntax_of(module)
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
        if isinstance(node.value, ast.Name) and node.value.id in own
    }


@cache
def graph() -> dict[str, set[str]]:
    """Each module's imports."""
    known = modules()
    return {module: imports_of(module, known) for module in known}


def room_of(module: str) -> str:
    """The room in which a module stands."""
    return module.partition(".")[0]


def test_every_module_is_in_a_room() -> None:
    """A new file or folder of the package's first level is given its place among the rooms."""
    assert sorted({room_of(module) for module in modules()}) == sorted(ROOMS)
    assert len(ROOMS) <= MOST_ROOMS


def test_imports_go_down() -> None:
    """No module imports from a room that stands above its own."""
    upwards = [
        f"{module} imports {imported}"
        for module, imports in graph().items()
        for imported in imports
        if ROOMS.index(room_of(imported)) < ROOMS.index(room_of(module))
    ]
    assert upwards == []


def test_no_circle() -> None:
    """No module imports itself by way of others, not even for its types."""
    TopologicalSorter(graph()).prepare()  # raises CycleError, which names the modules


def test_no_module_sets_anothers_globals() -> None:
    """Whoever wants another to do otherwise uses what that offers for it."""
    known = modules()
    patched = {module: patched_by(module, known) for module in known}
    assert {module: whose for module, whose in patched.items() if whose} == {}


def test_the_house_is_not_too_high() -> None:
    """A chain of rooms that import each other stays short enough to be followed."""
    below: dict[str, set[str]] = {room: set() for room in ROOMS}
    for module, imports in graph().items():
        below[room_of(module)] |= {room_of(imported) for imported in imports} - {room_of(module)}
    floors: dict[str, int] = {}
    for room in TopologicalSorter(below).static_order():
        floors[room] = 1 + max((floors[other] for other in below[room]), default=0)
    assert max(floors.values()) <= MOST_FLOORS, floors


def test_modules_stay_small() -> None:
    """A module that outgrows the limit does two things."""
    sizes = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    assert {module: size for module, size in sizes.items() if size > MOST_LINES} == {}


RIDDLES = ("What", "Whether", "How", "Those", "So", "Where")


def riddles(source: str) -> list[str]:
    """Docstrings of a module, attributes' included, that begin with a word of `RIDDLES`."""
    found = [
        node.value.value.split()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
    ]
    return [" ".join(words) for words in found if words and words[0].strip(",:") in RIDDLES]


def test_docstrings_say_what_a_thing_is_or_does() -> None:
    """The subject comes first: what begins with `Whether` or `Those` reads as a riddle."""
    found = {str(path): riddles(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {path: texts for path, texts in found.items() if texts} == {}


@each("place", ["", "class A:\n ", "def a():\n ", "a = 1\n", "class A:\n a = 1\n "])
@each("word", RIDDLES)
def test_riddles_are_found(place: str, word: str) -> None:
    """In a module, a class, a function, and below an attribute."""
    assert riddles(f'{place}"""{word} it is."""') == [f"{word} it is."]
    assert riddles(f'{place}"""It says {word} it is."""') == []


def test_docstring_lists_every_room() -> None:
    """The package's docstring leads a reader through all rooms."""
    text = rudder_logging.__doc__ or ""
    for room in ROOMS:
        assert room == "__init__" or f"`{room}" in text, room


@each("folder", sorted({path.parent for path in PACKAGE.glob("*/**/*.py")}))
def test_docstring_lists_every_file(folder: Path) -> None:
    """A room's docstring leads a reader through its files and folders."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert {name for name in files | folders if f"`{name}`" not in text} == set()


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


def all_tests() -> set[str]:
    """The names of the functions that pytest collects."""
    return {
        name
        for path in (PACKAGE.parent / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def test_the_tests_that_hold_the_rules_exist() -> None:
    """The table of rules names real tests, and has all twelve rules."""
    tests = PACKAGE.parent / "tests"
    text = (tests / "README.md").read_text()
    assert set(re.findall(r"`(test_\w+)`", text)) <= all_tests()
    rows = re.findall(r"^\| (\d+)\. [^|]*\| ([^|]*) \|", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    assert all("`test_" in named for _, named in rows)


def test_what_the_contributors_pages_name_exists() -> None:
    """Each path and each test that they speak of."""
    root = PACKAGE.parent
    pages = ("contributing.md", "adding.md")
    text = "".join((PACKAGE / "guides" / page).read_text() for page in pages)
    paths = set(re.findall(r"`((?:rudder_logging|tests)/[\w/.]+)`", text))
    assert paths
    assert [path for path in paths if not (root / path).exists()] == []
    assert set(re.findall(r"`(test_\w+)`", text)) <= all_tests()
