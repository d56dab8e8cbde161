"""Consent: the categories that a person denied, in the one form that the server acts on.

rudder-server (processor/consent.go) filters destinations by `context.consentManagement`'s
`deniedConsentIds` alone. With none, every destination gets the event; one that is malformed is
logged there, and every destination gets it, too. So the whole of it is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

__all__ = ["Allowed", "Consent", "OnUnknown"]

Allowed = Callable[[dict[str, Any]], "Collection[str] | None"] | Collection[str] | None
OnUnknown = Literal["deny", "drop"]
_STRATEGIES = ("and", "or")


class Consent:
    """Writes into an event what its person denied.

    Args:
        provider: Of the consent, as the server knows it.
        categories: All ids that destinations may be tied to.
        allowed: The ids that the person allowed, or a function of the event that finds them; None:
            they are unknown, unless the event has them itself.
        on_unknown: `deny`: then all are denied; `drop`: the event is dropped.
    """

    def __init__(
        self, provider: str, categories: Collection[str], allowed: Allowed, on_unknown: OnUnknown
    ) -> None:
        self._provider = provider
        self._categories = categories
        self._allowed = allowed
        self._drops = on_unknown == "drop"

    def admits(self, event: dict[str, Any]) -> bool:
        """Write it; False: the event is to be dropped."""
        context = event.get("context")
        if type(context) is not dict:
            context = event["context"] = {}
        own = context.get("consentManagement")
        if type(own) is not dict:
            own = {}
        allowed = _ids(own.get("allowedConsentIds"))
        if allowed is None:
            allowed = self._found(event)
        if allowed is None:
            if self._drops:
                return False
            allowed = []
        denied = [one for one in self._categories if one not in allowed]
        denied += [one for one in _ids(own.get("deniedConsentIds")) or () if one not in denied]
        made: dict[str, Any] = {
            "provider": self._provider,
            "allowedConsentIds": [one for one in allowed if one not in denied],
            "deniedConsentIds": denied,
        }
        if own.get("resolutionStrategy") in _STRATEGIES:
            made["resolutionStrategy"] = own["resolutionStrategy"]
        context["consentManagement"] = made
        return True

    def _found(self, event: dict[str, Any]) -> list[str] | None:
        found = self._allowed(event) if callable(self._allowed) else self._allowed
        if found is None:
            return None
        if isinstance(found, (str, bytes, Mapping)):
            raise TypeError("'allowed' must give ids, or None")
        return _ids([*found])


def _ids(given: Any) -> list[str] | None:
    """The ids in a list, as the server would read them; None: it is none."""
    if type(given) is not list:
        return None
    return [*dict.fromkeys(one for one in given if isinstance(one, str) and one)]
