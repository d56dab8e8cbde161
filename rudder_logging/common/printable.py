"""Text of others, for log lines and terminals: it forges no line, and steers nothing."""

from __future__ import annotations

__all__ = ["printable", "printable_json"]


_BLANKS = bytes.maketrans(b"\t\r\n", b"   ")  # which JSON may have between values only


def printable(text: str) -> str:
    """The same text, with U+FFFD for what a terminal, or a reader of lines, would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def printable_json(text: bytes) -> bytes:
    r"""JSON that means the same, with `\u001b` for that. It must be valid."""
    shown = text.translate(_BLANKS).decode()
    if shown.isprintable():
        return shown.encode()
    return "".join(char if char.isprintable() else _escaped(char) for char in shown).encode()


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
