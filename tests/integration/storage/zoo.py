"""The zoo's model. Tables need resources only: there are no services, and so the rules on them are not asked."""

from __future__ import annotations

from pathlib import Path

from entresol.codegen.protos import compile_protos
from entresol.schema import options
from entresol.schema.model import Model
from entresol.schema.resources import by_type, link, read_resource
from entresol.schema.source import Source

PROTOS = Path(__file__).parent / "protos"


def zoo_model() -> Model:
    source = Source(compile_protos(PROTOS))
    annotated = [message for message in source.messages() if source.option(message, options.RESOURCE)]
    return Model(by_type(link(read_resource(source, message) for message in annotated)), {}, source.pool)
