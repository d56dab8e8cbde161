"""Types of a plan's values, as Python has them: annotations, TypedDicts, and names of long ones."""

from __future__ import annotations

import hashlib
from typing import Any

from ...checks.shapes import Array, Field, Object, Part, Plain, Shape, Value, canonical
from ...exceptions import ConfigError
from .layout import LINE, Node, exploded, quoted, sentence, width, wrapped
from .names import camel, is_plain

__all__ = ["IMPORTS", "NONE", "Types", "literal"]

IMPORTS = {
    "Mapping": "collections.abc",
    "Sequence": "collections.abc",
    "date": "datetime",
    "datetime": "datetime",
    "time": "datetime",
    "Decimal": "decimal",
    "Any": "typing",
    "Literal": "typing",
    "TypedDict": "typing",
    "Union": "typing",
    "UUID": "uuid",
}
"""Modules that names in annotations come from; others are Python's own, or of the module itself."""
_BUILTINS = ("bool", "float", "int", "list", "object", "str", "tuple", "dict")
RESERVED = frozenset((*IMPORTS, *_BUILTINS, "NotRequired", "Unpack", "Enum", "Final"))

NONE = Node("None")
_ANY = Node("Any")
_STR = Node("str")
_PLAIN = {
    "anything": (_ANY,),
    "string": (_STR,),
    "integer": (Node("int"),),
    "number": (Node("float"), Node("Decimal")),
    "boolean": (Node("bool"),),
    "null": (NONE,),
    "date-time": (Node("datetime"), _STR),
    "date": (Node("date"), _STR),
    "time": (Node("time"), _STR),
    "uuid": (Node("UUID"), _STR),
}
_LIST = Node("Sequence", (_ANY,))
_MAPPING = Node("Mapping", (_STR, _ANY))
_LONGEST = 60
"""Letters of a type's name: more would not fit into a line beside what it is."""
_WIDEST = 75
"""Columns of a part of a type that is not given a name of its own."""
_DICTS_OWN = frozenset(dir(dict))


class Types:
    """The types that a module defines, as its functions ask for them.

    Args:
        taken: Names that the module has otherwise.
    """

    def __init__(self, taken: frozenset[str]) -> None:
        self._taken = {*taken, *RESERVED}
        self._names: dict[tuple[str, str], str] = {}
        self.used: set[str] = set()
        """Names that are in annotations."""
        self._within: set[str] = set()
        self.classes: list[list[str]] = []
        """Lines of each TypedDict."""
        self.aliases: list[list[str]] = []

    def node(self, shape: Shape, hint: str, where: str) -> Node:
        """The type of a shape.

        Args:
            shape: It.
            hint: A class of it is called so, if the plan has no name for it.
            where: What to call it in errors.
        """
        if not shape:
            raise ConfigError(f"{where} is required, and no value is allowed; mend the plan")
        values = [Node(text) for part in shape if (text := literal(part)) not in (None, "None")]
        nodes = [Node("Literal", tuple(values))] if values else []
        for part in shape:
            if literal(part) in (None, "None"):
                nodes.extend(self._of_part(part, hint, where))
        return either(nodes)

    def _of_part(self, part: Part, hint: str, where: str) -> tuple[Node, ...]:  # noqa: PLR0911 - one a kind
        if isinstance(part, Plain):
            return _PLAIN.get(part.format, _PLAIN[part.type])
        if isinstance(part, Value):
            of_type = {type(None): NONE, float: Node("float"), list: _LIST, dict: _MAPPING}
            return (of_type[type(part.value)],)
        if isinstance(part, Array):
            if not part.items:
                return (_LIST,)
            items = self.node(part.items, f"{hint}Item", f"{where}[]")
            if items == _STR:  # a str is a Sequence[str], too
                return Node("list", (_STR,)), Node("tuple", (_STR, Node("...")))
            return (Node("Sequence", (items,)),)
        if part.fields:
            return (Node(self._class(part, hint, where)),)
        if not part.others or part.key in self._within:  # or it holds mappings like itself
            return (_MAPPING,)
        self._within.add(part.key)
        values = self.node(part.others, f"{hint}Value", where)
        self._within.discard(part.key)
        return (Node("Mapping", (_STR, values)),)

    def _class(self, part: Object, hint: str, where: str) -> str:
        """The name of a TypedDict, which is made if there is none yet."""
        wanted = camel(part.name) if part.name else hint
        key = (wanted, canonical(_print(part)))
        if key not in self._names:
            name = self._free(wanted if wanted not in self._taken else hint)
            self._names[key] = name
            place = len(self.classes)
            self.classes.insert(place, self._class_lines(name, part, where))
        return self._names[key]

    def _class_lines(self, name: str, part: Object, where: str) -> list[str]:
        fields = {
            key: (field, self._entry(name, key, field, f"{where}.{key}"))
            for key, field in part.fields.items()
        }
        self.used.add("TypedDict")
        said = sentence(part.description)
        head = f"class {name}(TypedDict):"
        taken = self._taken | _DICTS_OWN
        if width(head) > LINE or not all(is_plain(key) and key not in taken for key in fields):
            items = [f"{quoted(key)}: {quoted(text)}" for key, (_field, text) in fields.items()]
            inner = exploded("", items, "    ", "{}")
            lines = [f"{name} = TypedDict(", f"    {quoted(name)},", *inner, ")"]
            lines[-2] += ","
            return [*lines, *_docstring(said, "")]
        lines = [head]
        if said:
            lines += [*_docstring(said, "    "), ""]
        for key, (field, text) in fields.items():
            lines += [f"    {key}: {text}", *_docstring(sentence(field.description), "    ")]
        return lines

    def _entry(self, name: str, key: str, field: Field, where: str) -> str:
        hint = f"{name}{camel(key)}"
        node = self.node(field.shape, hint, where)
        if not field.is_required:
            self.used.add("NotRequired")
        rest = len(f"    {key}: NotRequired[]")
        text = self.text(node, hint, LINE - rest)
        return text if field.is_required else f"NotRequired[{text}]"

    def text(self, node: Node, hint: str, room: int) -> str:
        """A type in so many columns; if it takes more, a name that the module gives it."""
        if width(node.text) <= room or (node.head not in ("|", "Literal") and not node.args):
            self.used.update(node.names)
            return node.text
        return self._alias(node, hint)

    def _alias(self, node: Node, hint: str) -> str:
        name = self._free(hint)
        args = tuple(
            arg
            if width(arg.text) <= _WIDEST or not arg.args
            else Node(self._alias(arg, f"{name}{number}" if number else f"{name}Item"))
            for number, arg in enumerate(node.args)
        )
        node = Node(node.head, args)
        line = f"{name} = {node.text}"
        if width(line) <= LINE:
            lines = [line]
        else:
            head = "Union" if node.head == "|" else node.head
            self.used.add(head)
            lines = exploded(f"{name} = {head}", [arg.text for arg in args], brackets="[]")
        self.used.update(node.names)
        self.aliases.append(lines)
        return name

    def _free(self, name: str) -> str:
        """The name, cut if it is very long, with a number if something is called so already."""
        if len(name) > _LONGEST:
            digits = hashlib.sha256(name.encode()).hexdigest()[:8]
            name = f"{name[: _LONGEST - len(digits)]}{digits}"
        numbers = (name, *(f"{name}{number}" for number in range(2, len(self._taken) + 3)))
        free = next(one for one in numbers if one not in self._taken)
        self._taken.add(free)
        return free


def literal(part: Part) -> str | None:
    """A single value as code that `Literal` takes; None: it takes no such value."""
    value = part.value if isinstance(part, Value) else part
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return quoted(value)
    return repr(value) if value is None or isinstance(value, (bool, int)) else None


def either(nodes: list[Node]) -> Node:
    """One of several types, each once; None stands last."""
    flat = [arg for node in nodes for arg in (node.args if node.head == "|" else (node,))]
    kept = sorted(dict.fromkeys(flat), key=lambda node: node == NONE)
    if _ANY in kept:
        return _ANY
    if Node("float") in kept:
        kept = [node for node in kept if node != Node("int")]
    return kept[0] if len(kept) == 1 else Node("|", tuple(kept))


def _docstring(text: str, indent: str) -> list[str]:
    """Nothing, if there is nothing to say."""
    if not text:
        return []
    begun = f'""" {text}' if text[0] == '"' else f'"""{text}'
    if width(f'{indent}{begun}"""') <= LINE:
        return [f'{indent}{begun}"""']
    return [*wrapped(begun, indent), f'{indent}"""']


def _print(part: Part | Object, chain: tuple[str, ...] = ()) -> Any:
    """All that a shape says, as JSON: equal ones are the same class."""
    if isinstance(part, Object):
        if part.key in chain:
            return ["again", chain.index(part.key)]
        inner = (*chain, part.key)
        fields = {
            name: [field.is_required, field.description, *(_print(p, inner) for p in field.shape)]
            for name, field in part.fields.items()
        }
        others = None if part.others is None else [_print(one, inner) for one in part.others]
        return ["object", part.description, list(fields), fields, others]
    if isinstance(part, Array):
        return ["array", *(_print(one, chain) for one in part.items)]
    return [part.json] if isinstance(part, Value) else [part.type, part.format]
