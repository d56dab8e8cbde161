"""`Privacy`, `ConsentPolicy` and `Suppression`: all options of privacy, checked where given.

Text, numbers and mappings do for each, so `dictConfig`, JSON, YAML and `RUDDER_PRIVACY` can say it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, TypeVar

from ..common.dictconfig import resolved
from ..common.given_files import fault_of_file
from ..common.parsing import Parser, choice
from ..events.table import nearest
from ..exceptions import ConfigError, UnknownOptionError
from . import reading
from .addresses import Address
from .consent import Allowed, OnUnknown
from .keys import DEFAULT_KEYS
from .limits import Rate
from .redaction import Action
from .suppression import IdFile, Source, function_of_ids

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["PROVIDERS", "ConsentPolicy", "Privacy", "Suppression", "privacy_of"]

PROVIDERS = ("oneTrust", "ketch", "iubenda", "custom")
"""Providers of consent that RudderStack's server knows, by its names."""

_Checked = TypeVar("_Checked", bound="_Options")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _option(default: Any, parse: Parser, *, secret: bool = False) -> Any:
    metadata = {"default": default, "parse": parse, "secret": secret}
    return dataclasses.field(default=dataclasses.MISSING, metadata=metadata)


class _Options:
    """Options that are checked when they are given; then they do not change."""

    _required: ClassVar[tuple[str, ...]] = ()

    def _read(self, given: Mapping[str, Any]) -> None:
        fields = {field.name: field for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        whose = type(self).__name__
        for name in given:
            if name not in fields:
                raise UnknownOptionError(
                    f"{whose}: no option is named {name!r}{nearest(name, fields)}; "
                    f"it has: {', '.join(fields)}"
                )
        for name, field in fields.items():
            value = resolved(given.get(name))
            if value is None:
                if name in self._required:
                    raise ConfigError(f"{whose}: {name!r} is missing; give it")
                read = field.metadata["default"]
            else:
                read = _parsed(f"{whose}: {name!r}", field.metadata["parse"], value)
            object.__setattr__(self, name, read)

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is field.metadata["default"]:
                continue
            value = dict(value) if isinstance(value, Mapping) else value
            value = sorted(value) if isinstance(value, frozenset) else value
            shown.append(f"{field.name}={'...' if field.metadata['secret'] else repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __hash__(self) -> int:
        """Hash the repr: mappings among the options have no hash."""
        return hash(repr(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by options, with plain dicts for read-only mappings."""
        values = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            values[field.name] = dict(value) if isinstance(value, Mapping) else value
        return _remade, (type(self), values)


def _remade(kind: type[_Checked], values: dict[str, Any]) -> _Checked:
    return kind(**values)


def _parsed(called: str, parse: Parser, value: Any) -> Any:
    try:
        read = parse(value)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{called} {error}") from None
    except Exception as error:  # noqa: BLE001 - see `config`
        raise ConfigError(f"{called} can't be read: that raised {type(error).__name__}") from None
    return MappingProxyType(read) if isinstance(read, dict) else read


class _ConsentOptions(TypedDict, total=False):
    provider: str
    categories: Collection[str]
    allowed: Allowed | str
    on_unknown: OnUnknown


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class ConsentPolicy(_Options):
    """Writes into each event what its person has denied: the server goes by that alone.

    Args:
        **options: `provider`: `oneTrust`, `ketch`, `iubenda` or `custom`.
            `categories`: The ids of all categories, or purposes, that destinations are tied to.
            `allowed`: The ids that are allowed; or a function, called with the event, which returns
            those that its person allowed, or None if that is unknown. An event's own
            `context.consentManagement.allowedConsentIds` comes first.
            `on_unknown`: "deny" (the default): then all are denied; "drop": the event is dropped.

    Raises:
        ConfigError: An option is missing or malformed.

    .. versionadded:: 0.1.0
    """

    provider: str = _option("custom", choice(*PROVIDERS))
    categories: tuple[str, ...] = _option((), reading.names)
    allowed: Allowed = _option(None, reading.function_or_ids)
    on_unknown: OnUnknown = _option("deny", choice("deny", "drop"))
    _required = ("provider", "categories")
    __hash__ = _Options.__hash__

    def __init__(self, **options: Unpack[_ConsentOptions]) -> None:
        self._read(options)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Suppression:
    """People whose events do not leave.

    Args:
        whom: Their ids; or the path of a file with an id on each line, which is read again when it
            has changed; or a function that returns all ids, or that is called with one and judges
            it. As text, a function is `module:name`.

    Raises:
        ConfigError: It is none of these, or the file can't be read.

    .. versionadded:: 0.1.0
    """

    whom: Any

    def __init__(self, whom: Collection[str] | str | os.PathLike[str] | Callable[..., Any]) -> None:
        object.__setattr__(self, "whom", _parsed("Suppression", _people, resolved(whom)))

    def source(self, listed: Callable[[], frozenset[str]] | None = None) -> Source:
        """Make what tells if an id is among them. `listed`: what names them, if there is one."""
        listed = listed or self.listed()
        if listed is None:
            return function_of_ids(self.whom)
        return lambda ids: not ids.isdisjoint(listed())

    def listed(self) -> Callable[[], frozenset[str]] | None:
        """Make what names all ids, as of now; None: only a function knows them."""
        if callable(self.whom):
            return None
        return IdFile(self.whom).ids if isinstance(self.whom, str) else lambda: self.whom

    def __repr__(self) -> str:
        if isinstance(self.whom, frozenset):
            return f"Suppression({len(self.whom)} ids)"
        return f"Suppression({self.whom!r})"


def _people(value: Any) -> Any:
    if callable(value):
        return value
    if isinstance(value, (str, os.PathLike)):
        with_colon = isinstance(value, str) and reading.OBJECT.fullmatch(value)
        if with_colon and not os.path.exists(value):  # noqa: PTH110
            return reading.function_or_ids(value)
        path = reading.path(value)
        fault = fault_of_file("Suppression", path)
        if fault:
            raise ConfigError(fault)
        return path
    return frozenset(reading.names(value))


class _PrivacyOptions(TypedDict, total=False):
    redact: Collection[str]
    action: Action
    hmac_key: str | bytes
    hash: Collection[str]
    patterns: Collection[str]
    allow_events: Collection[str] | None
    deny_events: Collection[str]
    allow: Mapping[str, Collection[str]]
    sample: Mapping[str, float]
    salt: str
    rate: Mapping[str, str | int | Rate]
    ip: Address
    geo: bool
    consent: ConsentPolicy | Mapping[str, Any]
    suppressed: Suppression | Collection[str] | str | os.PathLike[str] | Callable[..., Any]


def _keys(value: Any) -> frozenset[str]:
    keys = frozenset(reading.names(value))
    # JSON can't add to a set.
    return keys - {"DEFAULT_KEYS"} | DEFAULT_KEYS if "DEFAULT_KEYS" in keys else keys


def _as(kind: type[_Checked]) -> Parser:
    def parse(value: Any) -> _Checked:
        return value if isinstance(value, kind) else kind(**_entries(value))

    return parse


def _entries(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of options")  # noqa: TRY004 - see `reading`
    return {str(name): item for name, item in value.items()}


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Privacy(_Options):
    """Rules of what may leave, whose, and what becomes of the rest.

    All of it is done in the thread that logs the event, before a queue sees it. The order is:
    suppression, consent, events that are allowed and denied, samples, rates, redaction and hashes,
    `before_send`, and redaction again. What fails keeps the event back.

    An event is named by its `event`, or a page's or screen's `name`; any other by its type. `*` in
    a name stands for any text.

    Args:
        **options: All may be left out.
            `redact`: Keys whose values must not leave, at any level; case and separators make no
            difference. They replace `DEFAULT_KEYS`, unless that name is one of them.
            `action`: Their values' fate: "remove" (the default), "mask" or "hmac".
            `hmac_key`: The key of all hashes.
            `hash`: Keys whose values leave as hashes; "ids" are all ids of a person.
            `patterns`: Regular expressions, or kinds of personal data (`email`, `card`, `iban`,
            `phone`, `jwt`, `private_key`, `ip`); parts of texts that match have the fate of values.
            `allow_events`, `deny_events`: Names of events that may leave alone, or may not.
            `allow`: Paths of the properties, or traits, that may leave, by the event's name.
            `sample`: The share of people whose events leave, by the event's name. `salt` chooses
            who they are.
            `rate`: Events in a time, by the event's name, like "1000/s"; "*" is for all together.
            `ip`: "keep" (the default), "mask" or "drop".
            `geo`: Off: the server finds no place by an address.
            `consent`: A `ConsentPolicy`.
            `suppressed`: A `Suppression`.

    Raises:
        UnknownOptionError: No option has that name; the message names the nearest.
        ConfigError: An option is malformed.

    .. versionadded:: 0.1.0
    """

    redact: frozenset[str] = _option(DEFAULT_KEYS, _keys)
    action: Action = _option("remove", choice("remove", "mask", "hmac"))
    hmac_key: bytes | None = _option(None, reading.secret, secret=True)
    hash: tuple[str, ...] = _option((), reading.names)
    patterns: tuple[str, ...] = _option((), reading.patterns)
    allow_events: tuple[str, ...] | None = _option(None, reading.names)
    deny_events: tuple[str, ...] = _option((), reading.names)
    allow: Mapping[str, tuple[str, ...]] = _option(_NOTHING, reading.mapping_of(reading.paths))
    sample: Mapping[str, float] = _option(_NOTHING, reading.mapping_of(reading.share))
    salt: str = _option("", reading.text, secret=True)
    rate: Mapping[str, Rate] = _option(_NOTHING, reading.mapping_of(reading.rate))
    ip: Address = _option("keep", choice("keep", "mask", "drop"))
    geo: bool = _option(True, reading.switch)
    consent: ConsentPolicy | None = _option(None, _as(ConsentPolicy))
    suppressed: Suppression | None = _option(
        None, lambda value: value if isinstance(value, Suppression) else Suppression(value)
    )
    __hash__ = _Options.__hash__

    def __init__(self, **options: Unpack[_PrivacyOptions]) -> None:
        self._read(options)
        for name in ("action", "hash"):
            value = getattr(self, name)
            if value not in ("remove", "mask", ()) and self.hmac_key is None:
                raise ConfigError(
                    f"Privacy: {name!r} makes hashes, and 'hmac_key' is missing: without a key, "
                    "anybody finds a value by hashing all that it may be"
                )


def privacy_of(value: Any) -> Privacy:
    """A `Privacy`, or what a mapping or a JSON object says of one.

    Raises:
        ConfigError: It says nothing that can be.
        ValueError: It is something else; the text goes on after the option's name.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if isinstance(value, Privacy):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be a Privacy, a mapping of its options, or a JSON object as text")  # noqa: TRY004
    return Privacy(**_entries(value))
