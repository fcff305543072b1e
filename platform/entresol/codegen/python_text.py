"""Python text: quotes, docstrings and calls, no line longer than it should be."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

WIDTH = 110


def quoted(text: str) -> str:
    """Return a string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def called(head: str, arguments: Sequence[str], *, indent: str = "", end: str = "") -> str:
    """Return `head(arguments)end` on one line, or with an argument on each when that is too long."""
    line = f"{indent}{head}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"{indent}{head}(\n{inner}{indent}){end}"


def docstring(paragraphs: Sequence[str], *, indent: str) -> list[str]:
    """Return the lines of a docstring; a paragraph that begins with a blank keeps its own indent."""
    blocks = [_wrapped(paragraph, indent) for paragraph in paragraphs]
    lines = '"""' + "\n".join(blocks).lstrip()
    one_line = "\n" not in lines and not lines.endswith('"')
    ending = '"""' if one_line else f'\n{indent}"""'
    return (indent + lines + ending).split("\n")


def _wrapped(paragraph: str, indent: str) -> str:
    if not paragraph:
        return ""
    own = paragraph[: len(paragraph) - len(paragraph.lstrip())]
    text = paragraph.strip().replace("\\", "\\\\").replace('"""', "'''")
    rest = indent + own + ("    " if own else "")
    return textwrap.fill(
        text, WIDTH - 6, initial_indent=indent + own, subsequent_indent=rest, break_long_words=False
    )
