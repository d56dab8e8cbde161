"""Consent as a browser keeps it: what a person allowed and denied, by the provider's cookie.

A client can write it. So it says what that client wants, and nothing of anybody else.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from ..exceptions import InvalidTypeError, InvalidValueError
from .cookies import cookie_of

__all__ = ["PROVIDERS", "consent_of_cookie", "consent_of_ids"]

_MOST_READ = 16_384  # characters of a header in which a cookie's name is looked for
_IUBENDA = re.compile(r"(?:^|;)\s*(_iub_cs-\d{1,20})=")
_GROUPS = re.compile(r"(?:^|&)groups=([^&]*)")
_GROUP = re.compile(r"\s*([^:,\s]+)\s*:\s*([01])\s*")


def _of_one_trust(header: str) -> dict[str, bool] | None:
    text = cookie_of(header, "OptanonConsent")
    found = _GROUPS.search(text or "")
    if found is None:
        return None
    groups = [_GROUP.fullmatch(one) for one in found[1].split(",") if one.strip()]
    return {_required(group)[1]: _required(group)[2] == "1" for group in groups}


def _required(group: re.Match[str] | None) -> re.Match[str]:
    if group is None:
        raise InvalidValueError("a group of its is none")
    return group


def _of_ketch(header: str) -> dict[str, bool] | None:
    text = cookie_of(header, "_ketch_consent_v1_")
    if text is None:
        return None
    purposes = _object(a2b_base64(text.encode() + b"=="))
    return {
        code: isinstance(purpose, dict) and purpose.get("status") == "granted"
        for code, purpose in purposes.items()
    }


def _of_iubenda(header: str) -> dict[str, bool] | None:
    name = _IUBENDA.search(header[:_MOST_READ])
    text = None if name is None else cookie_of(header, name[1])
    purposes = None if text is None else _object(text.encode()).get("purposes")
    if not isinstance(purposes, dict):
        return None
    return {number: allowed is True for number, allowed in purposes.items()}


def _object(text: bytes) -> dict[str, Any]:
    read = orjson.loads(text)
    if not isinstance(read, dict):
        raise InvalidValueError("it is no object of JSON")
    return read


PROVIDERS: Mapping[str, Callable[[str], dict[str, bool] | None]] = {
    "oneTrust": _of_one_trust,
    "ketch": _of_ketch,
    "iubenda": _of_iubenda,
}
"""Readers of cookies, by the names that RudderStack's server has for their providers."""


def consent_of_cookie(header: str, provider: str) -> dict[str, Any] | None:
    """The consent in a browser's cookie, as `context.consentManagement`; None: there is no cookie.

    Raises:
        InvalidValueError: It can't be read.
    """
    try:
        found = PROVIDERS[provider](header)
    except InvalidValueError:
        raise
    except ValueError:
        raise InvalidValueError("it can't be decoded") from None
    if found is None:
        return None
    return {
        "provider": provider,
        "allowedConsentIds": [one for one, allowed in found.items() if allowed and one],
        "deniedConsentIds": [one for one, allowed in found.items() if not allowed and one],
    }


def consent_of_ids(allowed: Any) -> dict[str, Any] | None:
    """The same by ids that a function of the app's has found; None: it knows none.

    Raises:
        InvalidTypeError: They are none.
    """
    if allowed is None:
        return None
    if isinstance(allowed, (str, bytes, Mapping)) or not isinstance(allowed, Collection):
        raise InvalidTypeError("it must return a list of ids, or None")
    return {"allowedConsentIds": [str(one) for one in allowed]}
