"""The ids that a browser's SDK keeps in cookies, in all formats that it has had.

A client can write them. So they name an anonymous visitor and a session, and never a user.
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64
from typing import Any
from urllib.parse import unquote

import orjson

from ..events.fields import normalise_id
from ..exceptions import InvalidValueError

__all__ = ["ANONYMOUS_ID_COOKIES", "ad_ids_of", "anonymous_id_of", "cookie_of", "session_id_of"]

ANONYMOUS_ID_COOKIES = {"rudder": "rl_anonymous_id", "segment": "ajs_anonymous_id"}
_SESSION = "rl_session"
_GA, _FBP, _FBC, _TTP = "_ga", "_fbp", "_fbc", "_ttp"
_GA_CLIENT_ID = re.compile(r"GA[0-9]+\.[0-9-]+\.([0-9]+\.[0-9]+)")

_LONGEST = 4096  # browsers keep no longer cookie
_MOST_FOUND = 16  # times that a name is looked for in one header
_MOST_SPACES = 8
_V3, _V1 = "RS_ENC_v3_", "RudderEncrypt:"
_NO_IDS = frozenset({"undefined", "null", "NaN", "[object Object]"})  # of scripts that failed
_MOST_EXACT = 2**53


def cookie_of(header: str, name: str) -> str | None:
    """A cookie's value, decoded; the last of several, which the browser's SDK reads.

    Raises:
        InvalidValueError: It is longer than any that a browser keeps.
    """
    sought, start = f"{name}=", len(header)
    for _ in range(_MOST_FOUND):
        start = header.rfind(sought, 0, max(start, 0))
        if start < 0:
            return None
        before = header[max(0, start - _MOST_SPACES) : start].rstrip(" \t")
        if before.endswith(";") or (not before and start <= _MOST_SPACES):
            begin = start + len(sought)
            end = header.find(";", begin, begin + _LONGEST + 1)
            value = header[begin : end if end >= 0 else begin + _LONGEST + 1]
            if len(value) > _LONGEST:
                raise InvalidValueError(f"it has over {_LONGEST} characters")
            return unquote(value.strip()) or None
    return None


def anonymous_id_of(header: str, cookie: str, most: int) -> str | None:
    """The id in a cookie; None: there is none.

    Raises:
        InvalidEventError: It is none, or no longer one, or longer than it may be.
    """
    text = cookie_of(header, cookie)
    if text is None:
        return None
    value = _decoded(text)
    if type(value) is int:
        value = str(value)
    if type(value) is not str or value in _NO_IDS:
        raise InvalidValueError("it holds no id")
    if len(value) > most:
        raise InvalidValueError(f"it has over {most} characters")  # half an id is another's
    return normalise_id("it", value)


def session_id_of(header: str) -> int | None:
    """The number of the browser's session; None: there is none.

    Raises:
        InvalidValueError: It is none.
    """
    text = cookie_of(header, _SESSION)
    if text is None:
        return None
    session = _decoded(text)
    number = session.get("id") if type(session) is dict else None
    if type(number) is not int or not 0 < number < _MOST_EXACT:
        raise InvalidValueError("its id is no number")
    return number


def ad_ids_of(header: str, most: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Ids of ad networks: those that stand in `context`, and those in `properties`."""
    found = {name: cookie_of(header, name) for name in (_GA, _FBP, _FBC, _TTP)}
    context: dict[str, Any] = {}
    client = _GA_CLIENT_ID.fullmatch(found[_GA] or "")
    if client is not None and len(client[1]) <= most:
        context["externalId"] = [{"type": "ga4ClientId", "id": client[1]}]
    for name, key in ((_FBP, "fbp"), (_FBC, "fbc")):
        if is_an_ad_id(found[name], most):
            context[key] = found[name]
    ttp = found[_TTP]
    return context, {"ttp": ttp} if ttp is not None and is_an_ad_id(ttp, most) else {}


def is_an_ad_id(text: str | None, most: int) -> bool:
    """Tell if text may be one: half of it would be another's."""
    return text is not None and len(text) <= most and text.isascii() and text.isprintable()


def _decoded(text: str) -> Any:
    """The value of a cookie in whatever format. Plain text that is no JSON is the value itself."""
    try:
        if text.startswith(_V3):
            return orjson.loads(_of_base64(text[len(_V3) :]))
        if text.startswith(_V1):
            return orjson.loads(_decrypted(_of_base64(text[len(_V1) :])))
    except ImportError:
        raise InvalidValueError(
            "it is encrypted, as version 1 of the browser's SDK does it; install 'cryptography'"
        ) from None
    except ValueError:
        raise InvalidValueError("it can't be decoded") from None
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _of_base64(text: str) -> bytes:
    return a2b_base64(text.encode() + b"==")


def _decrypted(data: bytes) -> bytes:
    """Text that CryptoJS encrypted with a passphrase. It stands in the SDK, and hides nothing."""
    from cryptography.hazmat.primitives.ciphers import (  # noqa: PLC0415 - it need not be there
        Cipher,
        algorithms,
        modes,
    )

    if data[:8] != b"Salted__" or len(data) <= 16 or len(data) % 16:  # noqa: PLR2004 - OpenSSL's
        raise ValueError("it is not encrypted as OpenSSL does it")
    derived = block = b""
    while len(derived) < 32 + 16:  # key and vector
        block = hashlib.md5(block + b"Rudder" + data[8:16], usedforsecurity=False).digest()
        derived += block
    cipher = Cipher(algorithms.AES(derived[:32]), modes.CBC(derived[32:48])).decryptor()
    padded = cipher.update(data[16:]) + cipher.finalize()
    return padded[: -padded[-1]]
