"""From an engine's error to an outcome: what it means for messages, and its cure."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from redis.exceptions import ResponseError

from ..base import Hold, Later, Unknown

__all__ = ["Fault", "code_of", "failure_of"]

Fault = Hold | Later | Unknown
"""A failure, as an outcome. `Unknown`: what was asked for was sent, and is perhaps done."""

_PASSING = {
    "OOM": ("it has no memory left", "raise its maxmemory, or have relays empty it"),
    "MISCONF": ("it can't save to its disk", "see to the disk of the engine"),
    "LOADING": ("it is loading its data", "wait until it has started"),
    "NOREPLICAS": ("it has too few replicas", "see to its replicas"),
    "TRYAGAIN": ("the cluster is moving the shard", "wait until that is done"),
    "CLUSTERDOWN": ("the cluster is down", "see to its nodes"),
    "MASTERDOWN": ("its master is away", "see to the master"),
    "BUSY": ("a script occupies it", "see who runs scripts there"),
    "READONLY": ("it is a replica", "name the master in the URL, or the sentinels"),
    "MOVED": ("the cluster has moved the shard", "wait until its nodes agree"),
    "ASK": ("the cluster is moving the shard", "wait until that is done"),
    "UNBLOCKED": ("its role has changed", "wait until there is a master"),
    "max number of clients": ("it has as many clients as it takes", "raise its maxclients"),
}
_LASTING = {
    "WRONGPASS": ("it takes neither user nor password", "give those of the engine in the URL"),
    "NOAUTH": ("it wants a password", "give it in the URL, redis://user:password@host"),
    "NOPERM": ("the user may not do that", "give the user the commands and keys of the guide"),
    "WRONGTYPE": (
        "a key of the source holds something else",
        "give the source another name, or delete the foreign keys",
    ),
    "CROSSSLOT": ("it is a cluster", "begin the URL with redis+cluster"),
    "cluster support disabled": ("it is no cluster", "begin the URL with redis"),
    "DB index is out of range": ("it has no database of that number", "give another in the URL"),
    "unknown command": (
        "it lacks a command, or hides it by another name",
        "use Redis 6.2 or later, and let the user run the commands of the guide",
    ),
}
_OF_SCRIPTS = "The user executing the script"
"""The begin of what a script is told in place of `NOPERM`."""
_CODES = re.compile("|".join(map(re.escape, sorted({**_PASSING, **_LASTING}, key=len)[::-1])))
_BY_CLASS = {
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "WRONGPASS",
    "AuthorizationError": "NOPERM",
    "BusyLoadingError": "LOADING",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "ClusterCrossSlotError": "CROSSSLOT",
}
"""The library takes the code off the text of some errors, and makes it a class."""
_NO_AUTHENTICATION = "Authentication required"
_TLS_FAULTS = re.compile(r"\[SSL|certificate|CERTIFICATE", re.IGNORECASE)


def code_of(error: BaseException) -> str:
    """The word by which the engine tells what is wrong; empty: it did not say."""
    for one in _chain(error):
        text = str(one)
        if text.startswith(_NO_AUTHENTICATION):
            return "NOAUTH"
        if _OF_SCRIPTS in text:
            return "NOPERM"
        for kind in type(one).__mro__:
            if kind.__name__ in _BY_CLASS:
                return _BY_CLASS[kind.__name__]
        # A script's error of Redis 6.2 has the code in the middle of its text.
        if found := _CODES.search(text):
            return found[0]
    return ""


def failure_of(error: BaseException, engine: str, *, sent: bool) -> Fault:
    """Say what an error means. Its text is quoted as far as it can't hold a secret or a payload.

    Args:
        error: What the library raised, or the engine answered.
        engine: Its place, as it may be shown.
        sent: Commands had left, and no answer to them came.
    """
    code = code_of(error)
    if code in _LASTING:
        fault, cure = _LASTING[code]
        return Hold(f"the engine {engine} refuses: {fault} ({code})", cure)
    if code in _PASSING:
        fault, cure = _PASSING[code]
        return Later(f"the engine {engine} refuses: {fault} ({code})", cure)
    if any(isinstance(one, ssl.SSLError) or _TLS_FAULTS.search(str(one)) for one in _chain(error)):
        return Hold(
            f"the TLS handshake with the engine {engine} fails: {_reason(error)}",
            "give the authority as ssl_ca_certs in the URL, and a client's certificate as "
            "ssl_certfile and ssl_keyfile if it wants one",
        )
    if isinstance(error, ResponseError):
        return Later(f"the engine {engine} answers with an error: {_reason(error)}")
    words, cure = _reason(error), "see that it runs, and to the way there"
    cut = (ConnectionResetError, BrokenPipeError)
    if engine.startswith("rediss") and any(isinstance(one, cut) for one in _chain(error)):
        # It may reset a connection before its words on that have arrived.
        cure += "; and give ssl_certfile and ssl_keyfile in the URL, if it wants a certificate"
    if sent:
        return Unknown(f"no answer came from the engine {engine}: {words}", cure)
    return Later(f"the engine {engine} can't be reached: {words}", cure)


def _reason(error: BaseException) -> str:
    """The shortest true words: of the system, if it has said something."""
    for one in _chain(error):
        if isinstance(one, ssl.SSLError):
            return str(one.reason or one.__class__.__name__).replace("_", " ").lower()
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    text = str(error)
    if found := re.search(r"\[SSL: (\w+)\]", text):
        return found[1].replace("_", " ").lower()
    if "with args beginning" in text:  # the only error of an engine that quotes what it was sent
        text = text.partition(",")[0]
    return (text or type(error).__name__)[:160]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
