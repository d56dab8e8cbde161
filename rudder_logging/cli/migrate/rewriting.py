"""Rewriting: imports of an SDK, and what uses them, become this package's."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import libcst as cst

from .calls import arguments_of_client, arguments_of_event
from .names import CALLS, HERE, counterpart, importable, sdk_of
from .texts import moved_target, target_of
from .uses import Source, Use, Uses, dotted

__all__ = ["rewritten"]


def rewritten(source: Source) -> cst.Module:
    """A source as it is with this package, as far as that is certain."""
    movable = _movable(source.module, source.known)
    return source.module.visit(_Rewriter(source.uses, source.clients, movable))


def _movable(module: cst.Module, known: Collection[str]) -> set[str]:
    """The SDKs of which a source imports no part that is not here, by `import` and a dotted name.

    `import segment.analytics.request` binds the same name as `import segment.analytics`: neither
    can go without the other.
    """
    movable = set(known)

    class Imports(cst.CSTVisitor):
        def visit_Import(self, node: cst.Import) -> None:  # noqa: N802 - libcst's name
            for alias in node.names:
                found = sdk_of(alias.evaluated_name, known)
                if found is not None and found[1] not in ("", "client") and alias.asname is None:
                    movable.discard(found[0].module)

    module.visit(Imports())
    return movable


class _Rewriter(cst.CSTTransformer):
    def __init__(self, uses: Uses, clients: Mapping[str, Use], known: Collection[str]) -> None:
        super().__init__()
        self._uses, self._clients, self._known = uses, clients, known

    def leave_ImportAlias(  # noqa: N802 - libcst's name
        self, original_node: cst.ImportAlias, updated_node: cst.ImportAlias
    ) -> cst.ImportAlias:
        """One of `import a, b as c`."""
        name = original_node.evaluated_name
        found = sdk_of(name, self._known)
        if found is None or found[1] not in ("", "client") or original_node in self._of_from:
            return updated_node
        bound = name.partition(".")[0]
        asname = updated_node.asname
        if asname is None and bound == found[0].module:  # its name has no dot, and is kept
            asname = cst.AsName(cst.Name(bound))
        return updated_node.with_changes(name=cst.Name(HERE), asname=asname)

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:  # noqa: N802 - as above
        """Leave the names within it to `leave_ImportFrom`."""
        self._of_from = set() if isinstance(node.names, cst.ImportStar) else set(node.names)
        return True

    _of_from: set[cst.ImportAlias] = set()  # noqa: RUF012 - replaced, never changed

    def leave_ImportFrom(  # noqa: N802 - as above
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.BaseSmallStatement:
        """As `from segment import analytics`, or `from segment.analytics import track`."""
        names = original_node.names
        if original_node.relative or isinstance(names, cst.ImportStar):
            return updated_node
        module = dotted(original_node.module)
        if len(names) == 1 and f"{module}.{names[0].evaluated_name}" in self._known:
            asname = names[0].asname or cst.AsName(cst.Name(names[0].evaluated_name))
            alias = cst.ImportAlias(cst.Name(HERE), asname)
            return cst.Import([alias], semicolon=updated_node.semicolon)
        found = sdk_of(module, self._known)
        if found is None:
            return updated_node
        moved = [_moved_alias(found[1], alias) for alias in names]
        if None in moved:
            return updated_node
        return updated_node.with_changes(module=cst.Name(HERE), names=moved)

    def leave_Attribute(  # noqa: N802 - as above
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        """A use of a module, or of a name in it that is called otherwise here."""
        use = self._uses.of(original_node)
        if use is None or use.sdk is None or use.sdk.module not in self._known:
            return updated_node
        if not use.rest and dotted(original_node) == use.sdk.module:
            return cst.Name(HERE, lpar=updated_node.lpar, rpar=updated_node.rpar)
        if use.rest == "client":
            return updated_node.value
        name = counterpart(use.rest)
        if name is not None and "." not in use.rest and name != use.rest:
            return updated_node.with_changes(attr=cst.Name(name))
        return updated_node

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:  # noqa: N802 - as above
        """The arguments of an event, of a client, or of what patches one."""
        use = self._uses.call_of(original_node)
        method = dotted(original_node.func).rpartition(".")
        if use is None and method[0] in self._clients and method[2] in CALLS:
            client = self._clients[method[0]]
            event = method[2] if client.sdk is not None else None
        else:
            event = use.rest if use is not None and use.sdk is not None else None
        before, args = original_node.args, updated_node.args
        if event in CALLS:
            args = arguments_of_event(event, before, args, self._uses)
        elif use is not None and use.sdk is not None and use.rest in ("Client", "client.Client"):
            args = arguments_of_client(use.sdk, args)
        else:
            target = target_of(original_node)
            name = target and moved_target(str(target.raw_value), self._known)
            if target is not None and name:
                quoted = target.value.replace(str(target.raw_value), name)
                args = [args[0].with_changes(value=cst.SimpleString(quoted)), *args[1:]]
        return updated_node.with_changes(args=args)


def _moved_alias(within: str, alias: cst.ImportAlias) -> cst.ImportAlias | None:
    """One name of `from ... import`, from a module of an SDK's or one within that."""
    was = alias.evaluated_name
    name = importable(f"{within}.{was}" if within else was)
    if name is None:
        return None
    asname = alias.asname
    if asname is None and name != was:
        asname = cst.AsName(cst.Name(was))
    return alias.with_changes(name=cst.Name(name), asname=asname)
