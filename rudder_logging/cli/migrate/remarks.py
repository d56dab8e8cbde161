"""Remarks: what in a source has to be done by hand, with its line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import ParentNodeProvider, PositionProvider

from ...config import ALIASES, OPTIONS
from ...events.table import nearest
from .names import CALLS, HERE, SDKS, Sdk, counterpart, cure, importable, sdk_of
from .texts import moved_target, target_of
from .uses import Source, Use, Uses, dotted

__all__ = ["Remark", "remarks_on"]

_PAIR = (
    "{} returns the message id here, no pair of success and message; what is wrong with the "
    "arguments is raised as ValueError or TypeError"
)
_GIVES_UP = (
    "with max_retries, events are dropped in an outage, as the SDK did; without it they wait here "
    "until it is over: take it out, unless you want that"
)
_SEGMENTS_SERVERS = re.compile(r"https?://[\w.-]*segment(apis)?\.(io|com)")
_CLIENTS_NAMES = frozenset(
    {*CALLS, "flush", "aflush", "join", "shutdown", "stats", "handler", "logger"}
)
_MISSING = frozenset({"default_client", "log_handler", "thread", "endpoint"})
"""Names that this package lacks, though code that has moved may still use them."""
_LOGGERS = frozenset({"segment", "rudderstack"})
_UNMISTAKABLE = tuple(module for module, sdk in SDKS.items() if not sdk.is_ambiguous)


@dataclass(frozen=True, order=True)
class Remark:
    """One thing to do by hand."""

    line: int
    text: str


def remarks_on(source: Source) -> list[Remark]:
    """The parts of a source that do not move by themselves, moved as the rest may be or not."""
    finder = _Finder(source.uses, source.clients, source.known)
    source.wrapper.visit(finder)
    return sorted(set(finder.found))


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, uses: Uses, clients: Mapping[str, Use], known: Collection[str]) -> None:
        super().__init__()
        self._uses, self._clients, self._known = uses, clients, known
        self._functions: dict[str, cst.FunctionDef] = {}
        self.found: list[Remark] = []

    def _note(self, node: cst.CSTNode, text: str) -> None:
        position = self.get_metadata(PositionProvider, node)
        self.found.append(Remark(position.start.line, text))

    def visit_Module(self, node: cst.Module) -> None:  # noqa: N802 - libcst's name
        for statement in node.body:
            if isinstance(statement, cst.FunctionDef):
                self._functions[statement.name.value] = statement

    # Imports.

    def visit_Import(self, node: cst.Import) -> None:  # noqa: N802 - as above
        for alias in node.names:
            found = sdk_of(alias.evaluated_name, self._known)
            if found is not None and found[1] not in ("", "client"):
                self._note(alias, f"{alias.evaluated_name}: {cure(found[1])}")

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:  # noqa: N802 - as above
        module = dotted(node.module)
        found = None if node.relative else sdk_of(module, self._known)
        if found is None:
            return
        sdk, within = found
        if isinstance(node.names, cst.ImportStar):
            self._note(node, f"import from {HERE} by name what of {module} is used")
            return
        for alias in node.names:
            name = alias.evaluated_name
            rest = f"{within}.{name}" if within else name
            if importable(rest) is not None:
                continue
            if counterpart(rest) is not None:
                self._note(node, f"{name} is a setting: use {HERE}.{counterpart(rest)}")
            else:
                self._note(node, f"{sdk.module}.{rest} has no counterpart: {cure(rest)}")

    # Uses of what is not here.

    def visit_Attribute(self, node: cst.Attribute) -> None:  # noqa: N802 - as above
        use = self._uses.of(node)
        if use is not None:
            is_clients = use.rest.startswith("Client.")
            is_missing = use.rest in _MISSING
            if is_missing or ((use.sdk is not None or is_clients) and _is_missing(use.rest)):
                self._note(node, f"{use.rest} has no counterpart: {cure(use.rest)}")
            return
        name = node.attr.value
        if dotted(node.value) in self._clients and name not in _CLIENTS_NAMES:
            self._note(node, f"a rudder_logging.Client has no {name}: {cure(name)}")

    def visit_Assign(self, node: cst.Assign) -> None:  # noqa: N802 - as above
        for target in node.targets:
            self._note_setting(target.target, node.value)

    def _note_setting(self, target: cst.BaseExpression, value: cst.BaseExpression) -> None:
        use = self._uses.of(target)
        if use is None or not isinstance(target, cst.Attribute):
            return
        name = use.rest
        if use.sdk is None and name not in _MISSING and _is_unknown_option(name):
            self._note(target, f"there is no setting {name}{nearest(name, OPTIONS)}")
        self._note_option(name, value, use.sdk)

    def _note_option(self, name: str, value: cst.BaseExpression, sdk: Sdk | None) -> None:
        if sdk is not None and name == "max_retries":
            self._note(value, _GIVES_UP)
        elif ALIASES.get(name, name) == "data_plane_url":
            self._note_host(value)
        elif name == "on_error":
            self._note_callback(value)

    def _note_host(self, value: cst.BaseExpression) -> None:
        if isinstance(value, cst.SimpleString) and _SEGMENTS_SERVERS.match(value.raw_value):
            self._note(value, "this is Segment's server: give RudderStack's data plane URL")

    def _note_callback(self, value: cst.BaseExpression) -> None:
        function = self._functions.get(dotted(value))
        if isinstance(value, cst.Lambda):
            parameters: cst.Parameters | None = value.params
        else:
            parameters = function.params if function is not None else None
        if parameters is None or isinstance(parameters.star_arg, cst.Param):
            return
        given = (*parameters.posonly_params, *parameters.params)
        required = [one for one in given if one.default is None]
        if len(required) > len(("error", "events")) or len(given) < len(("error", "events")):
            self._note(value, "on_error is called with an error and a list of events")

    # Calls.

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802 - as above
        use = self._uses.call_of(node)
        if use is not None and use.rest in ("Client", "client.Client"):
            self._note_client(node, use)
        elif use is not None and use.rest in CALLS:
            self._note_result(node, use.sdk, use.rest, is_clients=False)
        owner, _, method = dotted(node.func).rpartition(".")
        if owner in self._clients and method in CALLS:
            self._note_result(node, self._clients[owner].sdk, method, is_clients=True)
        self._note_target(node)
        self._note_patched(node)
        self._note_logger(node)

    def _note_result(self, node: cst.Call, sdk: Sdk | None, name: str, *, is_clients: bool) -> None:
        parent = self.get_metadata(ParentNodeProvider, node)
        is_pair = isinstance(parent, cst.Subscript) and parent.value is node
        if isinstance(parent, cst.Assign):
            is_pair = any(isinstance(t.target, (cst.Tuple, cst.List)) for t in parent.targets)
        # Of what has moved already nobody knows if the result was used as a pair.
        returned_pairs = sdk is not None and (is_clients or sdk.calls_return_pairs)
        is_used = not isinstance(parent, cst.Expr) and returned_pairs
        if is_pair or is_used:
            self._note(node, _PAIR.format(f"{name}()"))

    def _note_client(self, node: cst.Call, use: Use) -> None:
        order = use.sdk.client_order if use.sdk is not None else ("write_key", "data_plane_url")
        for position, arg in enumerate(node.args):
            if arg.star:
                self._note(arg, "see that what is in it are options of this package")
                return
            by_position = order[position] if position < len(order) else ""
            name = by_position if arg.keyword is None else arg.keyword.value
            self._note_option(name, arg.value, use.sdk)
            moves = use.sdk is not None and name in ("thread", "flush_at", "flush_interval")
            if name != "thread" and not moves and _is_unknown_option(name):
                self._note(arg, f"Client has no option {name}: {cure(name)}")

    def _note_target(self, node: cst.Call) -> None:
        target = target_of(node)
        if target is None:
            return
        text = str(target.raw_value)
        found = sdk_of(text, self._known)
        if found is not None and moved_target(text, self._known) is None:
            self._note(target, f"{text!r} names what is not here: {cure(found[1])}")
        for inner in _within(text):
            name = moved_target(inner, self._known) or HERE
            self._note(target, f"if the SDK is meant in {text!r}, patch {name}")

    def _note_patched(self, node: cst.Call) -> None:
        """`patch.object(analytics, "default_client")`, and its like."""
        if dotted(node.func).rpartition(".")[2] not in ("object", "setattr", "delattr", "spy"):
            return
        use = self._uses.of(node.args[0].value) if len(node.args) > 1 else None
        name = node.args[1].value if use is not None else None
        if use is None or use.rest not in ("", "client") or not isinstance(name, cst.SimpleString):
            return
        was = str(name.raw_value)
        now = was if use.sdk is None and was not in _MISSING else counterpart(was)
        if now is None:
            self._note(name, f"{was} has no counterpart: {cure(was)}")
        elif now != was:
            self._note(name, f"{was} is called {now} here")

    def _note_logger(self, node: cst.Call) -> None:
        if dotted(node.func).rpartition(".")[2] != "getLogger" or not node.args:
            return
        name = node.args[0].value
        if isinstance(name, cst.SimpleString) and name.raw_value in _LOGGERS:
            self._note(name, f'the logger {name.value} is the SDK\'s: this package has "{HERE}"')

    # All else.

    def visit_Dict(self, node: cst.Dict) -> None:  # noqa: N802 - as above
        """In a dictConfig, the SDK's loggers."""
        for element in node.elements:
            is_loggers = (
                isinstance(element, cst.DictElement)
                and isinstance(element.key, cst.SimpleString)
                and element.key.raw_value == "loggers"
            )
            if not is_loggers or not isinstance(element.value, cst.Dict):
                continue
            for inner in element.value.elements:
                key = inner.key if isinstance(inner, cst.DictElement) else None
                if isinstance(key, cst.SimpleString) and key.raw_value in _LOGGERS:
                    text = f'the logger {key.value} is the SDK\'s: this package has "{HERE}"'
                    self._note(key, text)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802 - as above
        """A module's name, as `importlib` and `sys.modules` have it."""
        parent = self.get_metadata(ParentNodeProvider, node)
        call = self.get_metadata(ParentNodeProvider, parent, None)
        if isinstance(call, cst.Call) and target_of(call) is node:
            return
        text = str(node.raw_value)
        if any(text == name or text.startswith(f"{name}.") for name in _UNMISTAKABLE):
            self._note(node, f"{text!r} names the SDK: {HERE} takes its place")

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802 - as above
        for base in node.bases:
            use = self._uses.of(base.value)
            if use is not None and use.sdk is not None and use.rest in ("Client", "client.Client"):
                self._note(node, "Client is another class here: see what of it this one relies on")

    def visit_Try(self, node: cst.Try) -> None:  # noqa: N802 - as above
        """Code that expects what the SDK raises."""
        calls = _CallsWithin(self._uses, self._clients)
        node.body.visit(calls)
        if not calls.found:
            return
        for handler in node.handlers:
            given = handler.type
            elements = given.elements if isinstance(given, cst.Tuple) else ()
            expected = [dotted(element.value) for element in elements] or [dotted(given)]
            if "AssertionError" in expected:
                text = "wrong arguments raise ValueError or TypeError here, no AssertionError"
                self._note(handler, text)


class _CallsWithin(cst.CSTVisitor):
    """Tells if there is one of the calls somewhere."""

    def __init__(self, uses: Uses, clients: Mapping[str, Use]) -> None:
        super().__init__()
        self._uses, self._clients = uses, clients
        self.found = False

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802 - libcst's name
        use = self._uses.call_of(node)
        owner, _, method = dotted(node.func).rpartition(".")
        is_clients = owner in self._clients and method in CALLS
        self.found = self.found or is_clients or (use is not None and use.rest in CALLS)


def _is_missing(rest: str) -> bool:
    """Tell if an SDK's name has no counterpart, and is not the beginning of one that has."""
    if not rest or rest in ("client", "version"):
        return False
    before = rest.rpartition(".")[0]
    if before in ("Client", "client.Client"):
        return rest.rpartition(".")[2] not in _CLIENTS_NAMES
    if before and (_is_missing(before) or counterpart(before) is not None):
        return False  # told already, or a value's own attribute
    return counterpart(rest) is None


def _is_unknown_option(name: str) -> bool:
    return bool(name) and name not in OPTIONS and name not in ALIASES


def _within(target: str) -> Iterator[str]:
    """The SDK's names inside a longer one, as `shop.events.segment.analytics.track`."""
    for module in _UNMISTAKABLE:
        before, found, after = target.partition(f".{module}.")
        if before and found:
            yield f"{module}.{after}"
