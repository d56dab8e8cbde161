"""RudderStack's user suppression API: it drops what comes of some people, and deletes the rest.

It takes 4,000 users an hour; with deletion, 200,000 users times destinations.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from time import sleep
from typing import Any

import orjson

from ...common.hosts import is_loopback
from ...common.printable import printable
from ..common import BadInputError, FailedError, tell

__all__ = ["Regulation"]

_SECONDS = 30.0
_LONGEST_ANSWER = 4096  # bytes
_OK = range(200, 300)
_USERS_AT_ONCE = 1_000
_WAITS = (1.0, 4.0, 15.0)
"""Seconds before a request is made again that may pass the next time."""
_LONGEST_WAIT = 60.0
_MAY_PASS = (429, *range(500, 600))


class Regulation:
    """A request to RudderStack's user suppression API.

    Raises:
        BadInputError: The URL or the token can't be right.
    """

    def __init__(
        self, api: str, token_file: str | None, ids: Sequence[str], destinations: Sequence[str]
    ) -> None:
        from urllib.parse import urlsplit  # noqa: PLC0415 - costly

        parts = urlsplit(api.strip().rstrip("/"))
        host = parts.hostname or ""
        if not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
            raise BadInputError("--api must be an https:// URL: it gets an access token")
        if parts.username or parts.password or parts.query or parts.fragment or not host:
            raise BadInputError("--api must be a URL like https://api.rudderstack.com")
        self._url = f"{parts.scheme}://{parts.netloc}{parts.path}/v2/regulations"
        self._token = _token(token_file)
        self._kind = "suppress_with_delete" if destinations else "suppress"
        self._ids, self._destinations = ids, list(destinations)

    def told(self) -> dict[str, Any]:
        """Sum up the request, without ids."""
        return {
            "regulation": self._kind,
            "users": len(self._ids),
            "destinations": len(self._destinations),
        }

    def sent(self) -> dict[str, Any]:
        """Send it, in as many requests as it needs.

        Raises:
            FailedError: Not all of it was taken.
        """
        for at in range(0, len(self._ids), _USERS_AT_ONCE):
            body: dict[str, Any] = {
                "regulationType": self._kind,
                "users": [{"userId": one} for one in self._ids[at : at + _USERS_AT_ONCE]],
            }
            if self._destinations:
                body["destinationIds"] = self._destinations
            fault = self._fault_of(orjson.dumps(body))
            if fault is not None:
                before = f"; {at:,} of {len(self._ids):,} users were sent before" if at else ""
                raise FailedError(fault + before)
        return self.told()

    def _fault_of(self, body: bytes) -> str | None:
        """Send a part of it. Why it was not taken; None: it was."""
        for seconds in (*_WAITS, None):
            fault, may_pass, after = self._post(body)
            if fault is None or not may_pass or seconds is None:
                break
            wait = min(max(seconds, after), _LONGEST_WAIT)
            tell(f"{fault}; trying again in {wait:g} s")
            sleep(wait)
        return fault

    def _post(self, body: bytes) -> tuple[str | None, bool, float]:
        """Why it was not taken, whether that may pass, and the seconds that are asked for."""
        import requests  # noqa: PLC0415 - costly

        try:
            answer = requests.post(
                self._url,
                data=body,
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/json",
                },
                timeout=_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            with answer:
                text = answer.raw.read(_LONGEST_ANSWER, decode_content=True)
        except (requests.RequestException, OSError) as error:
            # Not the error's text: it may quote the request.
            return f"RudderStack's API was not reached: {type(error).__name__}", True, 0.0
        status = answer.status_code
        if status in _OK:
            return None, False, 0.0
        after = answer.headers.get("Retry-After", "")
        return (
            f"RudderStack's API refuses the regulation: {status} {_words(text)}".rstrip(),
            status in _MAY_PASS,
            float(after) if after.isascii() and after.isdigit() else 0.0,
        )


def _words(body: bytes) -> str:
    """The server's words: its `message`, if it has one."""
    try:
        message = orjson.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")
    return printable(str(message)[:200]).strip()


def _token(path: str | None) -> str:
    if path is None:
        raise BadInputError("--api needs --token-file, a file with the access token")
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            token = file.read(_LONGEST_ANSWER).strip()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no text"
        raise BadInputError(f"--token-file: {path} can't be read: {words}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInputError(f"--token-file: {path} holds no access token")
    if os.name == "posix" and mode & 0o077:
        tell(f"others can read the access token in {path}: chmod 600 it")
    return token
