"""RudderStack's user suppression API, as far as `rudder-logging forget` needs it.

Source: the page "User Suppression API" of RudderStack's documentation. It is the control plane's,
on another host than the gateway; here it is on the same.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from .documents import parse

__all__ = ["PATH", "Regulations"]

PATH = "/v2/regulations"
_TYPES = ("suppress", "suppress_with_delete")


class Regulations:
    """The regulations that were made, and the answers to requests for more.

    Args:
        token: The one access token that is accepted; None: any.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._made: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    @property
    def all(self) -> list[dict[str, Any]]:
        """The regulations that were made, in a new list."""
        with self._lock:
            return list(self._made)

    def take(self, authorization: str | None, body: bytes) -> tuple[int, Any]:
        """Make regulations, one for each user. Returns the answer's status and its JSON."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token or self._token not in (None, token):
            return 401, {"message": "Unauthorized"}
        try:
            request = parse(body)
        except ValueError:
            request = None
        fault = next(_faults_of(request), None)
        if fault is not None:
            return 400, {"message": fault}
        made = [
            {
                "id": str(uuid.uuid4()),
                "workspaceId": "local",
                "canceled": False,
                "regulationType": request["regulationType"],
                "attributes": user,
                "destinationIds": request.get("destinationIds", []),
                "sourceIds": request.get("sourceIds", []),
                "createdAt": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            }
            for user in request["users"]
        ]
        with self._lock:
            self._made += made
        return 200, made


def _faults_of(request: Any) -> Iterator[str]:
    if not isinstance(request, dict):
        yield "the body must be a JSON object"
        return
    kind, users = request.get("regulationType"), request.get("users")
    if kind not in _TYPES:
        yield f"regulationType must be one of {', '.join(_TYPES)}"
    if not isinstance(users, list) or not users:
        yield "users must be a list with at least one user"
    elif not all(isinstance(user, dict) and _is_id(user.get("userId")) for user in users):
        yield "each of users must have a userId"
    for key in ("destinationIds", "sourceIds"):
        ids = request.get(key, [])
        if not isinstance(ids, list) or not all(map(_is_id, ids)):
            yield f"{key} must be a list of ids"
    if kind == "suppress_with_delete" and not request.get("destinationIds"):
        yield "destinationIds is required for suppress_with_delete"


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
