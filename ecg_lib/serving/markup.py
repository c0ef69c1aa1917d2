"""HTML in which nothing that came from outside can act: every value is escaped when it goes in."""

from collections.abc import Iterable
from html import escape

from ecg_lib.text import without_controls


class Html(str):
    """Text that is HTML already."""


def html(template: str, **values: object) -> Html:
    """Fill the values into a template of HTML.

    Args:
        template: HTML with `{name}` where a value goes; a constant of the code.
        **values: the values by name, each escaped unless it is `Html`.

    Example:
        >>> html("<p>{name}</p>", name="<script>")
        '<p>&lt;script&gt;</p>'
    """
    return Html(template.format(**{name: _escaped(value) for name, value in values.items()}))


def joined(parts: Iterable[object], separator: str = "") -> Html:
    """Join parts, each escaped unless it is `Html`."""
    return Html(separator.join(map(_escaped, parts)))


def _escaped(value):
    return value if isinstance(value, Html) else escape(without_controls(str(value), but="\n\t"))
