"""Named values within texts: parameters of queries, and what JSON and Python write of objects.

`token=abc`, `{"token": "abc"}` and `Login(token='abc')` name a value as a key does. So do their
percent-encoded forms, to some depth, and the password in a URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote_plus, unquote_plus

from .keys import Names

__all__ = ["SIGNS", "Texts"]

_SEPARATORS = r"""\x00-\x20\x7f?&#;"'(),=/{}|<>\\`"""
_NAMED = re.compile(
    rf"""(\\*["'])((?:[^"'\\]|\\+u[0-9A-Fa-f]{{4}}){{1,256}})\1\s{{0,8}}(?::|=>?)\s{{0,8}}
    |(?<![^{_SEPARATORS}])([^{_SEPARATORS}]{{1,256}})[ ]{{0,2}}=>?[ ]{{0,2}}""",
    re.VERBOSE,
)
"""The beginning of a named value: its name stands in quotation marks, or behind a separator."""
_QUOTED = re.compile(r"""[bfru]{0,2}(\\*["'])""", re.IGNORECASE)
_UP_TO = {quote: re.compile(rf"(?:[^{quote}\\]+|\\.)*", re.DOTALL) for quote in "\"'"}
_SCHEME = re.compile(r"(?:basic|bearer|digest|negotiate|token)\s+", re.IGNORECASE)
_MARK = re.compile(r"""[\s&#;,"'()\[\]{}<>]""")
_OPENING, _CLOSING = "([{<", ")]}>"
_NEXT_NAME = re.compile(rf"[^{_SEPARATORS}]{{1,256}}=")
_BEHIND_A_QUOTE = re.compile(r"""$|[\s,;:)\]}>"']""")
_PASSWORD = re.compile(r"""(://[^\s/?#@:"']*:)([^\s/?#"']+)@""")
_ENCODED = re.compile(r"%(?:25)*3[AaDd]")
"""A colon or an equals sign."""
_WORD = re.compile(rf"""[^{_SEPARATORS}]+""")
_DEEPEST = 3  # a text within a parameter's value, within another's

# The same in a message's bytes, where a text's quotation marks have a backslash.
_BACKWARDS = re.compile(rb"""=[ ]{0,2}([^\x00-\x20?&#;"'(),=/{}|<>\\`]{1,256})""")
"""From an equals sign to the left: to look for one is quick."""
SIGNS = b"=%\\'@"
"""Bytes of which a message that has named values in its texts has one."""
_EQUALS, _PERCENT, _BACKSLASH, _APOSTROPHE, _AT = SIGNS
_ENCODED_BYTES = re.compile(_ENCODED.pattern.encode())
_QUOTED_NAME = re.compile(rb"""(?:'|\\")\s{0,8}[:=]""")
_PASSWORD_BYTES = re.compile(rb"""://[^\s/?#@:"']*:[^\s/?#"']+@""")
_MOST_KEPT, _LONGEST_KEPT = 1_000, 512

Replace = Callable[[str, str], "str | None"]
"""From a name and its value to what takes the value's place; None: both go."""


class Texts:
    """Finds the named values in texts.

    Args:
        names: Of those that must not leave.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._has_passwords = names.mean("password")
        self.harmless: set[bytes] = set()
        """Parts of messages without such names, from the beginning of the text that has the first
        equals sign to the last one. They come again, as an app has few pages: without these, a call
        with two URLs cost 5 % more."""

    def may_concern(self, message: bytes, end: int) -> bool:
        """Tell if a message may have such values. If it does, it is to be looked at closer.

        Args:
            message: As it is sent.
            end: How much of it matters.
        """
        return (
            (_EQUALS in message and self._has_parameters(message, end))
            or (_PERCENT in message and _ENCODED_BYTES.search(message, 0, end) is not None)
            or (
                (_APOSTROPHE in message or _BACKSLASH in message)
                and _QUOTED_NAME.search(message, 0, end) is not None
            )
            or (
                _AT in message
                and self._has_passwords
                and _PASSWORD_BYTES.search(message, 0, end) is not None
            )
        )

    def _has_parameters(self, message: bytes, end: int) -> bool:
        begin, last = message.rfind(b'"', 0, message.find(b"=")), message.rfind(b"=")
        text = message[begin:last]
        if text in self.harmless:
            return False
        names = _BACKWARDS.findall(message[begin : last + 1][::-1])
        if _BACKSLASH not in text and not any(map(self._means_backwards, names)):
            if len(text) <= _LONGEST_KEPT and len(self.harmless) < _MOST_KEPT:
                self.harmless.add(text)
            return False
        if end == len(message):
            return True
        found = message[begin:end]
        return _BACKSLASH in found or any(
            map(self._means_backwards, _BACKWARDS.findall(found[::-1]))
        )

    def _means_backwards(self, name: bytes) -> bool:
        return self._names.mean_in_text(name[::-1].decode("utf-8", "replace"))

    def redacted(self, text: str, replace: Replace, depth: int = 0) -> str:
        """A text with other values in place of those.

        Args:
            text: Of any kind.
            replace: Makes the others.
            depth: The texts around it.
        """
        if not self._names:
            return text
        if "=" in text or ":" in text:
            text = self._without_named(text, replace)
        if "@" in text and self._has_passwords:
            text = _PASSWORD.sub(lambda found: _without_password(found, replace), text)
        if "%" in text and depth < _DEEPEST and _ENCODED.search(text):
            text = _WORD.sub(lambda found: self._decoded(found[0], replace, depth), text)
        return text

    def _decoded(self, word: str, replace: Replace, depth: int) -> str:
        if not _ENCODED.search(word):
            return word
        inner = unquote_plus(word)
        redacted = self.redacted(inner, replace, depth + 1)
        return word if redacted == inner else quote_plus(redacted)

    def _without_named(self, text: str, replace: Replace) -> str:
        parts: list[str] = []
        done = 0
        for found in _NAMED.finditer(text):
            if found.start() < done:  # it is within a value that was redacted
                continue
            quote, quoted, bare = found.groups()
            name = bare or quoted
            if not self._names.mean_in_text(name):
                continue
            begin, stop, end = _value_at(text, found.end(), in_list=bare is None)
            value = text[begin:stop]
            made = replace(name, value if begin > found.end() else unquote_plus(value))
            parts.append(text[done : found.start()])
            if made is not None:
                opening, closing = text[found.end() : begin], text[stop:end]
                if bare is None and not opening:  # of JSON, say, it has to stay
                    opening = closing = quote
                parts += found[0], opening, made, closing
            elif bare is None or begin > found.end() or text.startswith(",", end):
                end = _behind_comma(text, end, parts)
            elif text[end : end + 1] == "&":
                end += 1  # of those on both sides of it, one is enough
            else:
                parts[-1] = parts[-1].removesuffix("&")
            done = end
        return "".join([*parts, text[done:]]) if done else text


def _value_at(text: str, at: int, *, in_list: bool) -> tuple[int, int, int]:
    """The places at which a value begins and stops, and at which what belongs to it ends.

    Args:
        text: That has it.
        at: Where it is expected.
        in_list: A comma ends it.
    """
    opening = _QUOTED.match(text, at)
    if opening is None:
        end = _end_of_bare(text, at, in_list=in_list)
        return at, end, end
    begin, quote = opening.end(), opening[1]
    if len(quote) == 1:
        stop = _UP_TO[quote].match(text, begin).end()  # type: ignore[union-attr]
    else:
        stop = text.find(quote, begin)
        while stop > 0 and text[stop - 1] == "\\":  # of a text within this one
            stop = text.find(quote, stop + 1)
    if stop < 0 or not text.startswith(quote, stop):
        return begin, len(text), len(text)
    return begin, stop, stop + len(quote)


def _end_of_bare(text: str, at: int, *, in_list: bool) -> int:
    scheme = _SCHEME.match(text, at)
    depth, done = 0, 0 if scheme is None else scheme.end()
    for found in _MARK.finditer(text, at):
        if found.start() < done:
            continue
        mark = found[0]
        if mark in _OPENING:
            depth += 1
        elif mark in _CLOSING:
            if not depth:
                return found.start()
            depth -= 1
        elif mark in "\"'":
            if depth:  # an object's own text
                done = _UP_TO[mark].match(text, found.end()).end() + 1  # type: ignore[union-attr]
            elif _BEHIND_A_QUOTE.match(text, found.end()):
                return found.start()
        elif not depth and (
            (in_list or text[found.end() : found.end() + 1].isspace())
            if mark == ","
            else mark != ";" or _NEXT_NAME.match(text, found.end())
        ):
            return found.start()
    return len(text)


def _behind_comma(text: str, end: int, parts: list[str]) -> int:
    """Take one comma, of those around a value: the one after it, or else that before it."""
    rest = re.compile(r"\s*,\s*").match(text, end)
    if rest is not None:
        return rest.end()
    parts[-1] = re.sub(r",\s*$", "", parts[-1])
    return end


def _without_password(found: re.Match[str], replace: Replace) -> str:
    made = replace("password", unquote_plus(found[2]))
    return f"{found[1][:-1]}@" if made is None else f"{found[1]}{quote_plus(made, safe='*')}@"
