"""The shop: a small model whose tables have what those of the stories do not, and versions of it that changed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from entresol.codegen.protos import compile_protos
from entresol.schema import options
from entresol.schema.model import Model
from entresol.schema.resources import by_type, link, read_resource
from entresol.schema.source import Source

PROTO = Path(__file__).parent / "protos" / "shop" / "v1" / "shop.proto"


def shop(*changes: tuple[str, str]) -> Model:
    """Return the model of shop.proto after these replacements in its text.

    Tables need resources only: there are no services, and so the rules on them are not asked.
    """
    text = PROTO.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop" / "v1" / "shop.proto"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
        source = Source(compile_protos(Path(folder)))
    annotated = [message for message in source.messages() if source.option(message, options.RESOURCE)]
    return Model(by_type(link(read_resource(source, message) for message in annotated)), {}, source.pool)
