"""Text from outside, such as a file's name, that is shown or written down."""

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


def as_utf_8(text: str) -> str:
    """Return text with bytes that no table can hold escaped, such as `\\udce9` for E9."""
    return text.encode(errors="backslashreplace").decode()


def without_controls(text: str, but: str = "") -> str:
    """Return text with its control characters escaped: they can drive a terminal.

    Args:
        text: the text.
        but: control characters that stay.

    Example:
        >>> print(without_controls("\\x1b[2J.jpg"))
        \\x1b[2J.jpg
    """
    return text.translate(_CONTROLS | {ord(kept): kept for kept in but})
