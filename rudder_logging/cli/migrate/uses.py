"""Uses: what a name in a source refers to, if that is an SDK's, or this package's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import (
    MetadataWrapper,
    QualifiedName,
    QualifiedNameProvider,
    QualifiedNameSource,
)

from .names import HERE, Sdk, sdk_of

__all__ = ["Source", "Use", "Uses", "dotted"]


@dataclass(frozen=True)
class Use:
    """A reference to a name within an SDK's module."""

    sdk: Sdk | None
    """None: the name is this package's already."""
    rest: str
    """The name within the module; empty: the module itself."""


def dotted(node: cst.BaseExpression | None) -> str:
    """A name with its dots; empty if an expression is none."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        before = dotted(node.value)
        return before and f"{before}.{node.attr.value}"
    return ""


class Uses:
    """The names in a source, and the things that they refer to."""

    def __init__(self, names: Mapping[Any, Any], known: Collection[str]) -> None:
        self._names, self._known = names, known

    def imported(self, node: cst.CSTNode) -> Iterator[str]:
        """The dotted names that an expression may have by the source's imports."""
        found = self._names.get(node, ())
        for one in found() if callable(found) else found:
            if isinstance(one, QualifiedName) and one.source is QualifiedNameSource.IMPORT:
                yield one.name

    def of(self, node: cst.CSTNode) -> Use | None:
        """The SDK's name that an expression refers to."""
        for name in self.imported(node):
            if name == HERE or name.startswith(f"{HERE}."):
                return Use(None, name[len(HERE) + 1 :])
            if (found := sdk_of(name, self._known)) is not None:
                return Use(*found)
        return None

    def call_of(self, node: cst.Call) -> Use | None:
        """The function that a call calls. libcst gives the call's own name, where it has one."""
        return self.of(node.func)


class _Clients(cst.CSTVisitor):
    """The names to which a source assigns a `Client`, or which it says are one."""

    def __init__(self, uses: Uses) -> None:
        super().__init__()
        self._uses = uses
        self.named: dict[str, Use] = {}
        """By name with its dots, as `self.client`."""

    def visit_Assign(self, node: cst.Assign) -> None:  # noqa: N802 - libcst's name
        """Note the targets of `client = Client(...)`."""
        for target in node.targets:
            self._note(target.target, node.value)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:  # noqa: N802 - as above
        """Note `client: Client = ...`."""
        self._note(node.target, node.value)
        self._note_annotated(node.target, node.annotation)

    def visit_Param(self, node: cst.Param) -> None:  # noqa: N802 - as above
        """Note a function's `client: Client`."""
        self._note_annotated(node.name, node.annotation)

    def visit_WithItem(self, node: cst.WithItem) -> None:  # noqa: N802 - as above
        """Note `with Client(...) as client`."""
        if node.asname is not None:
            self._note(node.asname.name, node.item)

    def _note(self, target: cst.BaseExpression, value: cst.BaseExpression | None) -> None:
        if isinstance(value, cst.Call):
            self._note_use(target, self._uses.call_of(value))

    def _note_annotated(
        self, target: cst.BaseExpression, annotation: cst.Annotation | None
    ) -> None:
        if annotation is not None:
            self._note_use(target, self._uses.of(annotation.annotation))

    def _note_use(self, target: cst.BaseExpression, use: Use | None) -> None:
        if use is not None and use.rest in ("Client", "client.Client") and dotted(target):
            self.named[dotted(target)] = use


class Source:
    """A source with what its names refer to, which takes libcst a millisecond a line.

    Args:
        module: The source; nobody else may have changed it.
        known: The modules of SDKs that it may import.
    """

    def __init__(self, module: cst.Module, known: Collection[str]) -> None:
        self.module, self.known = module, known
        self.wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self.uses = Uses(self.wrapper.resolve(QualifiedNameProvider), known)
        clients = _Clients(self.uses)
        module.visit(clients)
        self.clients: Mapping[str, Use] = clients.named
        """The names of clients."""
