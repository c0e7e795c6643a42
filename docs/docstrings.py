"""How docstrings become the reference: a paragraph that follows the fields belongs to the text before them.

The parser of this style takes what comes after ``:param x: …`` for more about ``x``, until the next field.
"""

from __future__ import annotations

from typing import Any

from griffe import Extension, Object


class TextBeforeFields(Extension):
    """Reorder each docstring before it is parsed."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Do so for one object.

        :param obj: what the docstring is of.
        """
        if obj.docstring:
            obj.docstring.value = _reordered(obj.docstring.value)


def _reordered(text: str) -> str:
    fields, others = [], []
    for paragraph in text.split("\n\n"):
        (fields if paragraph.startswith(":") else others).append(paragraph)
    return "\n\n".join([*others, "\n".join(fields)]) if fields else text
