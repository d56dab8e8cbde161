"""`rudder-logging forget`: some people's events are erased from spools, and at RudderStack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click
import orjson
from click.shell_completion import CompletionItem

from ..common.hosts import is_loopback
from ..common.printable import printable
from ..events.persons import Matches, concerns
from ..exceptions import InvalidEventError
from ..privacy.suppression import checked_ids
from .common import FILE, BadInputError, ExitCode, FailedError, events, show_json, tell
from .spool.command import purge_found
from .spool.erasure import count
from .spool.holdings import Holding, holdings, spool_directory

__all__ = ["forget"]

_SECONDS = 30.0
_LONGEST_ANSWER = 4096  # bytes
_OK = range(200, 300)


@click.command()
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.option(
    "--spool",
    "directory",
    metavar="DIR",
    shell_complete=lambda _context, _parameter, begun: [CompletionItem(begun, type="dir")],
    help="A durable queue's directory. [env: RUDDER_QUEUE]",
)
@click.option("--api", metavar="URL", help="RudderStack's API, as https://api.rudderstack.com.")
@click.option(
    "--token-file",
    type=FILE,
    metavar="FILE",
    help="The file with the access token of RudderStack's API; needed with --api.",
)
@click.option(
    "--delete-from",
    "destinations",
    metavar="ID",
    multiple=True,
    help="A destination that is to delete them, too. Repeat it for more.",
)
@click.option(
    "--yes", is_flag=True, help="Do it. Without this, it is only told what would be done."
)
@click.option("--json", "is_json", is_flag=True, help="Print the report as JSON.")
def forget(
    *,
    users: tuple[str, ...],
    directory: str | None,
    api: str | None,
    token_file: str | None,
    destinations: tuple[str, ...],
    yes: bool,
    is_json: bool,
) -> int:
    """Erase what there is of people, and have RudderStack suppress them.

    USER is an id that events know a person by. Pending events that have it, in whatever field, are
    erased from the spool; those that a living process holds are counted, and are for its own
    suppress() to drop. RudderStack goes by user ids alone.

    What was delivered already is at RudderStack's destinations: --delete-from has them delete it.
    """
    ids = _ids(users)
    if directory is None and not os.environ.get("RUDDER_QUEUE") and api is None:
        raise BadInputError("say where: --spool DIR (or RUDDER_QUEUE), or --api URL")
    if destinations and api is None:
        raise BadInputError("--delete-from needs --api")
    regulation = None if api is None else _Regulation(api, token_file, ids, destinations)
    report: dict[str, Any] = {"done": yes, "users": len(ids)}
    held = 0
    if directory is not None or os.environ.get("RUDDER_QUEUE"):
        report["spool"] = _of_spool(spool_directory(directory), concerns(ids), erases=yes)
        held = report["spool"]["held"]
    if regulation is not None:
        report["api"] = regulation.sent() if yes else regulation.told()
    if is_json:
        show_json(report)
    else:
        for line in _lines(report):
            click.echo(printable(line))
    if not yes:
        tell("nothing was changed: give --yes to do it")
    elif held:
        raise FailedError(
            f"{events(held)} held by living processes are left; have them call suppress(), or stop "
            "them, and do this again"
        )
    return ExitCode.OK


def _ids(users: Sequence[str]) -> list[str]:
    try:
        return list(dict.fromkeys(checked_ids(users)))
    except InvalidEventError:
        raise BadInputError("a USER is empty; give an id (is a variable not set?)") from None


def _of_spool(directory: str, matches: Matches, *, erases: bool) -> dict[str, Any]:
    found: list[Holding] = holdings(directory)
    if erases:
        erased, held = purge_found(found, matches)
        return {"erased": erased, "held": sum(number for _, number in held)}
    numbers = [(holding.is_alive, count(holding, matches)) for holding in found]
    return {
        "erased": sum(number for is_alive, number in numbers if not is_alive),
        "held": sum(number for is_alive, number in numbers if is_alive),
    }


class _Regulation:
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
        self._body: dict[str, Any] = {
            "regulationType": "suppress_with_delete" if destinations else "suppress",
            "users": [{"userId": one} for one in ids],
        }
        if destinations:
            self._body["destinationIds"] = list(destinations)

    def told(self) -> dict[str, Any]:
        """Sum up the request, without ids."""
        kind, users = self._body["regulationType"], len(self._body["users"])
        destinations = self._body.get("destinationIds", [])
        return {"regulation": kind, "users": users, "destinations": len(destinations)}

    def sent(self) -> dict[str, Any]:
        """Send it.

        Raises:
            FailedError: It was not taken.
        """
        import requests  # noqa: PLC0415 - costly

        try:
            answer = requests.post(
                self._url,
                data=orjson.dumps(self._body),
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/json",
                },
                timeout=_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            with answer:
                body = answer.raw.read(_LONGEST_ANSWER, decode_content=True)
        except requests.RequestException as error:
            # Not the error's text: it may quote the request.
            raise FailedError(
                f"RudderStack's API was not reached: {type(error).__name__}"
            ) from None
        if answer.status_code not in _OK:
            raise FailedError(
                f"RudderStack's API refuses the regulation: {answer.status_code} {_words(body)}"
            )
        return self.told()


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
            token = file.read(_LONGEST_ANSWER).strip()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no text"
        raise BadInputError(f"--token-file: {path} can't be read: {words}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInputError(f"--token-file: {path} holds no access token")
    return token


def _lines(report: dict[str, Any]) -> list[str]:
    verb = "erased" if report["done"] else "would be erased"
    lines = []
    if "spool" in report:
        found = report["spool"]
        lines.append(f"spool: {events(found['erased'])} {verb}")
        if found["held"]:
            lines.append(f"spool: {events(found['held'])} held by living processes")
    if "api" in report:
        found, done = report["api"], "sent" if report["done"] else "would be sent"
        lines.append(
            f"api: {found['regulation']} for {found['users']} users, "
            f"{found['destinations']} destinations {done}"
        )
    return lines
