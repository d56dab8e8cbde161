"""A module of typed events: the functions of a plan's calls, and what stands around them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import Any

from ...checks.plan import TrackingPlan
from ...checks.planned import PlannedCall, calls_of
from ...checks.shapes import Field, Plain, Value, canonical
from ...events.table import EVENT_TYPES
from ...events.types import CallFields
from ...handler.dispatch import TYPED_EVENTS
from .layout import LINE, Node, exploded, quoted, sentence, wrapped
from .names import camel, distinct, snake
from .types import IMPORTS, NONE, RESERVED, Types, either, literal

__all__ = ["Written", "write"]

_OWN_NAMES = ("EventLogger", "Client", "CallFields", "NotSent", "logging", "annotations")
_COMMON = (*CallFields.__annotations__, "logger")
_IDS = Node("|", (Node("str"), Node("int"), Node("UUID")))
_OWN_TYPES = {
    "group_id": _IDS,
    "previous_id": _IDS,
    "merge_properties": Node("Sequence", (Node("Mapping", (Node("str"), _IDS)),)),
}
_NOT_SENT = Node("NotSent")
_RULES = {
    "minimum": "At least {}.",
    "maximum": "At most {}.",
    "exclusiveMinimum": "More than {}.",
    "exclusiveMaximum": "Less than {}.",
    "multipleOf": "A multiple of {}.",
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "pattern": "Matches `{}`.",
    "minItems": "At least {} items.",
    "maxItems": "At most {} items.",
    "uniqueItems": "No item twice.",
    "minProperties": "At least {} keys.",
    "maxProperties": "At most {} keys.",
}

_SENTINEL = '''
class NotSent(Enum):
    """The default of what may be None: it is sent as null if given, and else not at all."""

    NOT_SENT = "not sent"


NOT_SENT: Final = NotSent.NOT_SENT
'''
_SENT = """
def _sent(
    values: Mapping[str, object],
    unless_none: Mapping[str, object],
) -> dict[str, object]:
    given = {key: value for key, value in unless_none.items() if value is not None}
    return {**values, **given}
"""
_SENT_WITH_SENTINEL = """
def _sent(
    values: Mapping[str, object],
    unless_none: Mapping[str, object],
) -> dict[str, object]:
    sent = {key: value for key, value in values.items() if value is not NOT_SENT}
    given = {key: value for key, value in unless_none.items() if value is not None}
    return {**sent, **given}
"""


@dataclass(frozen=True)
class Written:
    """A module, and what is to be told of it."""

    text: str
    warnings: list[str]


@dataclass(frozen=True)
class _Argument:
    """An argument of a function."""

    name: str
    key: str
    field: Field
    node: Node
    default: str
    """As code; empty: it has to be given."""
    place: str
    """`own`, `details` or `more`."""


def write(plan: TrackingPlan, logger: str = "rudder") -> Written:
    """Write the module of a plan.

    Args:
        plan: It.
        logger: The name of the logger that its events go to.

    Raises:
        ConfigError: No event can be as the plan says.
    """
    return _Module(plan, logger).written()


class _Module:
    def __init__(self, plan: TrackingPlan, logger: str) -> None:
        self._plan = plan
        self._logger = logger
        self._calls = calls_of(plan)
        self._warnings: list[str] = []
        wanted = [(call.title, _function_of(call)) for call in self._calls]
        self._functions = self._distinct(wanted, {*RESERVED, *_OWN_NAMES}, "events", "functions")
        self._types = Types(frozenset((*self._functions.values(), *_OWN_NAMES, "NOT_SENT")))

    def written(self) -> Written:
        functions = [self._function(call) for call in self._calls]
        types = self._types
        uses_sent = any("_sent(" in line for lines in functions for line in lines)
        has_sentinel = "NotSent" in types.used
        sentinel = [_SENTINEL.strip().split("\n")] if has_sentinel else []
        helper = []
        if uses_sent:
            types.used.add("Mapping")
            helper = [(_SENT_WITH_SENTINEL if has_sentinel else _SENT).strip().split("\n")]
        marker = f"{TYPED_EVENTS}: Final = True"
        logger = f"_events: Final = EventLogger(logging.getLogger({quoted(self._logger)}))"
        lines = [*self._head(has_sentinel), "", marker, logger]
        # Aliases are evaluated when the module is loaded: they stand below what they name.
        blocks = [*sentinel, *types.classes, *types.aliases, *helper, *functions]
        for before, block in zip([[logger], *blocks], blocks, strict=False):
            lines += [*_gap(before, block), *block]
        return Written("\n".join(lines) + "\n", self._warnings)

    def _head(self, has_sentinel: bool) -> list[str]:
        types = self._types
        names = {name for name in types.used if name in IMPORTS} | {"TYPE_CHECKING", "Final"}
        sources = {**IMPORTS, "TYPE_CHECKING": "typing", "Final": "typing", "Enum": "enum"}
        names |= {"Enum"} if has_sentinel else set()
        imports = [
            f"from {source} import {', '.join(_sorted(n for n in names if sources[n] == source))}"
            for source in sorted({sources[name] for name in names})
        ]
        typed = ["NotRequired", "Unpack"] if "NotRequired" in types.used else ["Unpack"]
        lines = (
            f"Typed events of the tracking plan {sentence(self._plan.title)}",
            "",
            "Written by `rudder-logging codegen`: change the plan, not this file.",
            f"Plan: sha256 {_checksum(self._plan)}",
        )
        first, *rest = chain.from_iterable(wrapped(line, "") or [""] for line in lines)
        return [
            "# ruff: noqa",
            f'"""{first}',
            *rest,
            '"""',
            "",
            "from __future__ import annotations",
            "",
            "import logging",
            *imports,
            "",
            "from rudder_logging import EventLogger",
            "",
            "if TYPE_CHECKING:",
            f"    from typing_extensions import {', '.join(typed)}",
            "",
            "    from rudder_logging import CallFields, Client",
        ]

    def _distinct(
        self, wanted: list[tuple[str, str]], taken: set[str], what: str, called: str
    ) -> dict[str, str]:
        names, alike = distinct(wanted, taken)
        for group in alike:
            who = ", ".join(f"{name!r} is {names[name]!r}" for name in group)
            self._warnings.append(f"{what} whose {called} would have the same name: {who}")
        return names

    def _function(self, call: PlannedCall) -> list[str]:
        name = self._functions[call.title]
        arguments = self._arguments(call, name)
        parameters = [self._parameter(name, one) for one in arguments]
        self._types.used.update(("Unpack",))
        more = ["logger: EventLogger | Client | None = None", "**common: Unpack[CallFields]"]
        lines = exploded(f"def {name}", ["*", *parameters, *more])
        lines[-1] += " -> str:"
        return [*lines, *_docstring(call, arguments), *_body(call, arguments)]

    def _parameter(self, function: str, one: _Argument) -> str:
        default = f" = {one.default}" if one.default else ""
        room = LINE - len(f"    {one.name}: {default},")
        text = self._types.text(one.node, camel(function, one.name), room)
        return f"{one.name}: {text}{default}"

    def _arguments(self, call: PlannedCall, function: str) -> list[_Argument]:
        own = [self._own(call, function, name, field) for name, field in call.own.items()]
        more = f"more_{call.key}"
        taken = {*_COMMON, "common", *call.own, more}
        kind = "property" if call.key == "properties" else "trait"
        wanted = [(key, snake(key, kind)) for key in call.details]
        names = self._distinct(wanted, taken, f"{call.title}: {call.key}", "arguments")
        details = [
            self._detail(call, function, names[key], key, field)
            for key, field in call.details.items()
        ]
        if call.others or not (call.details or call.others == () or not call.key):
            # Said to be open; or the plan knows nothing of them.
            shape = call.others or (Plain("anything"),)
            value = self._types.node(shape, camel(function, "More"), call.title)
            node = either([Node("Mapping", (Node("str"), value)), NONE])
            details.append(_Argument(more, "", Field(shape, False), node, "None", "more"))
        return sorted((*own, *details), key=lambda one: bool(one.default))

    def _own(self, call: PlannedCall, function: str, name: str, field: Field) -> _Argument:
        node = _OWN_TYPES.get(name)
        if node is None:
            is_open = field.shape == (Plain("anything"),)
            shape = (Plain("string"),) if is_open else field.shape
            node = self._types.node(shape, camel(function, name), f"{call.title}: {name}")
        default = "" if field.is_required else "None"
        node = node if field.is_required else either([node, NONE])
        return _Argument(name, name, field, node, default, "own")

    def _detail(
        self, call: PlannedCall, function: str, name: str, key: str, field: Field
    ) -> _Argument:
        where = f"{call.title}: {call.key}.{key}"
        node = self._types.node(field.shape, camel(function, name), where)
        default = ""
        if not field.is_required:
            default = "NOT_SENT" if _can_be_none(node) else "None"
            node = either([node, _NOT_SENT if default == "NOT_SENT" else NONE])
        elif len(field.shape) == 1 and isinstance(field.shape[0], Value):
            default = literal(field.shape[0]) or ""  # it can't be anything else
        if "NotSent" in node.names or default == "NOT_SENT":
            self._types.used.add("NotSent")
        return _Argument(name, key, field, node, default, "details")


def _can_be_none(node: Node) -> bool:
    return node in (NONE, Node("Any")) or (node.head == "|" and NONE in node.args)


def _function_of(call: PlannedCall) -> str:
    """`order_completed`; `page_home`, for a track event might be called Home, too."""
    if call.name is None:
        return call.type
    slug = snake(call.name, "event")
    return slug if call.type == "track" else snake(f"{call.type}_{slug}", "event")


def _docstring(call: PlannedCall, arguments: list[_Argument]) -> list[str]:
    said = sentence(call.description)
    sends = "" if call.name is None else sentence(f"The {call.type} event {quoted(call.name)}")
    first, *more = filter(None, (said, sends)) if said or sends else (EVENT_TYPES[call.type].doc,)
    lines = wrapped(f'"""{" " * first.startswith(chr(34))}{first}', "    ")
    for text in more:
        lines += ["", *wrapped(text, "    ")]
    lines += ["", "    Args:"]
    for one in arguments:
        lines += wrapped(f"{one.name}: {_about(call, one)}", "        ", "    ")
    common = [f"`{name}`" for name in CallFields.__annotations__]
    lines += [
        *wrapped("logger: Where it goes, if not to this module's own.", "        ", "    "),
        *wrapped(
            f"**common: {', '.join(common)}; as `rudder_logging.identify` has them.",
            "        ",
            "    ",
        ),
        "",
        "    Returns:",
        "        The message id.",
        '    """',
    ]
    return lines


def _about(call: PlannedCall, one: _Argument) -> str:
    if one.place == "more":
        return f"Other {call.key}, which the plan allows."
    field = next((f for f in EVENT_TYPES[call.type].own_fields if f.arg == one.key), None)
    said = [sentence(one.field.description) or (field.doc if field and one.place == "own" else "")]
    for key, value in one.field.rules:
        if not isinstance(value, bool) or (value and key == "uniqueItems"):
            text = value if isinstance(value, str) else canonical(value)
            said.append(sentence(_RULES[key].format(text)))
    floats = [p.value for p in one.field.shape if isinstance(p, Value) and literal(p) is None]
    if floats:
        said.append(sentence(f"One of {', '.join(map(canonical, floats))}."))
    if one.place == "details" and one.name != one.key:
        said.append(f"Sent as {sentence(quoted(one.key))}")
    if one.default == "NOT_SENT":
        said.append("None is sent as null.")
    return " ".join(filter(None, said)) or sentence(f"`{call.key}.{one.key}`")


def _body(call: PlannedCall, arguments: list[_Argument]) -> list[str]:
    row = EVENT_TYPES[call.type]
    lines = ["    return (logger or _events)." + f"{call.type}("]
    if call.name is not None and row.template_field is not None:
        lines.append(f"        {row.template_field.arg}={quoted(call.name)},")
    lines += [f"        {one.name}={one.name}," for one in arguments if one.place == "own"]
    if call.key:
        lines += _details(call, arguments)
    return [*lines, "        **common,", "    )"]


def _details(call: PlannedCall, arguments: list[_Argument]) -> list[str]:
    details = [one for one in arguments if one.place == "details"]
    items = {is_left_out: _items(details, is_left_out) for is_left_out in (False, True)}
    more = [f"**(more_{call.key} or {{}})" for one in arguments if one.place == "more"]
    if any(one.default in ("None", "NOT_SENT") and one.place == "details" for one in arguments):
        always = exploded("", [*more, *items[False]], "            ", "{}")
        unless_none = exploded("", items[True], "            ", "{}")
        always = always if more or items[False] else ["            {}"]
        unless_none = unless_none if items[True] else ["            {}"]
        always[-1] += ","
        unless_none[-1] += ","
        return [f"        {call.key}=_sent(", *always, *unless_none, "        ),"]
    if not more and not items[False]:
        return [f"        {call.key}={{}},"]
    lines = exploded(f"{call.key}=", [*more, *items[False]], "        ", "{}")
    lines[-1] += ","
    return lines


def _items(details: list[_Argument], is_left_out: bool) -> list[str]:
    return [
        f"{quoted(one.key)}: {one.name}"
        for one in details
        if (one.default == "None" and not one.field.is_required) is is_left_out
    ]


def _gap(before: list[str], block: list[str]) -> list[str]:
    """Two lines around what has a body, one between names."""
    bodies = ("def ", "class ")
    return ["", ""] if before[0].startswith(bodies) or block[0].startswith(bodies) else [""]


def _sorted(names: Any) -> list[str]:
    """As isort has them: constants, classes, all else."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def _checksum(plan: TrackingPlan) -> str:
    """A hash of all that is read of the plan."""
    read = [[e.type, e.name, e.description, e.document] for e in plan.events]
    text = canonical([plan.title, read])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
