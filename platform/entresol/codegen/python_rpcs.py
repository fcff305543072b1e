"""What a client's method needs to know of an rpc: its arguments, its pages, and whether it may be repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from entresol.codegen.python_layout import identifier
from entresol.codegen.python_types import Types
from entresol.errors import Mistake, SchemaError
from entresol.schema import options
from entresol.schema.model import Behavior, Method
from entresol.schema.repetition import Repetition, repetition_of
from entresol.schema.resources import snake
from entresol.schema.source import Source

SIGNATURE = "google.api.method_signature"
_EMPTY = "google.protobuf.Empty"
# Arguments that the methods have themselves.
_TAKEN = frozenset({"self", "request", "options", "timeout", "retry", "metadata", "read_mask", "consistency"})
_VARIABLE = re.compile(r"\{([^}=]+)(?:=[^}]*)?\}")


@dataclass(frozen=True)
class Argument:
    """One argument of a client's method: a field of the request."""

    name: str
    field: str
    annotation: str
    comment: str


@dataclass(frozen=True)
class Rpc:
    """One rpc as a client's method. `item` and `items` are set when it answers page by page (AIP-158)."""

    name: str
    path: str
    request: str
    reply: str
    comment: str
    positional: tuple[Argument, ...]
    keyword: tuple[Argument, ...]
    empty: bool = False  # the reply says nothing
    item: str = ""
    items: str = ""
    repetition: Repetition = Repetition.UNSAFE
    request_id: str = ""
    result: str = ""  # of the operation that it begins, and the operation's metadata (AIP-151)
    metadata: str = ""
    routing: tuple[str, ...] = ()
    streaming: bool = False
    deprecated: bool = False

    @property
    def constant(self) -> str:
        """Return the name of the module's constant for this method."""
        return f"_{self.name.strip('_').upper()}"


def read_rpc(
    source: Source, method: MethodDescriptor, known: Method, types: Types, comments: Mapping[str, str]
) -> Rpc:
    """Return the rpc of a method.

    Raises:
        SchemaError: the caller streams too, which these clients cannot do.
    """
    if method.client_streaming:
        problem, remedy = (
            "the client streams requests",
            "let one request carry them, or let only the server stream",
        )
        file = method.containing_service.file.name
        raise SchemaError(
            [Mistake(file, source.line(method), "python client", method.full_name, problem, remedy)]
        )
    positional, keyword = _arguments(source, method, types, comments)
    items = _items(method)
    return Rpc(
        name=identifier(snake(method.name)),
        path=known.path,
        request=types.message(method.input_type),
        reply=types.message(method.output_type),
        comment=comments.get(method.full_name, ""),
        positional=positional,
        keyword=keyword,
        empty=method.output_type.full_name == _EMPTY,
        item=types.message(items.message_type) if items and items.message_type else "",
        items=items.name if items else "",
        repetition=repetition_of(known),
        request_id=known.request_id,
        result=_of_job(source, types, known.job.response) if known.job else "",
        metadata=_of_job(source, types, known.job.metadata) if known.job else "",
        routing=_routing(source, method),
        streaming=method.server_streaming,
        deprecated=method.GetOptions().deprecated,
    )


def _arguments(
    source: Source, method: MethodDescriptor, types: Types, comments: Mapping[str, str]
) -> tuple[tuple[Argument, ...], tuple[Argument, ...]]:
    """Return the arguments that have a place, and those that only have a name."""
    placed = _placed(source, method)
    arguments = {
        field.name: Argument(
            name=_argument_name(field.name),
            field=field.name,
            annotation=types.argument(field),
            comment=comments.get(field.full_name, ""),
        )
        for field in method.input_type.fields
    }
    positional = tuple(arguments.pop(name) for name in placed)
    return positional, tuple(arguments.values())


def _placed(source: Source, method: MethodDescriptor) -> Sequence[str]:
    """Return the fields of the first method signature, else the required ones, which no version may change."""
    signatures = source.option(method, SIGNATURE)
    fields = method.input_type.fields
    if signatures is None:
        return [field.name for field in fields if Behavior.REQUIRED in options.behaviors(source, field)]
    names = [name.strip() for name in signatures[0].split(",")]
    return [name for name in names if name in method.input_type.fields_by_name]


def _argument_name(field: str) -> str:
    return f"{field}_" if field in _TAKEN else identifier(field)


def _items(method: MethodDescriptor) -> FieldDescriptor | None:
    """Return the repeated field of a page, or None when the method does not answer page by page."""
    given, answered = method.input_type.fields_by_name, method.output_type.fields_by_name
    if "page_token" not in given or "next_page_token" not in answered or method.server_streaming:
        return None
    repeated = (field for field in method.output_type.fields if field.is_repeated and field.message_type)
    return next(repeated, None)


def _of_job(source: Source, types: Types, message: str) -> str:
    return types.message(source.pool.FindMessageTypeByName(message))


def _routing(source: Source, method: MethodDescriptor) -> tuple[str, ...]:
    """Return the variables of the method's first HTTP path (AIP-4222)."""
    bindings = options.bindings(source, method)
    return tuple(_VARIABLE.findall(bindings[0].path)) if bindings else ()
