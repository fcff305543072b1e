"""A caller of one package's methods by their short names, which carries the session it was given as clients should."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from entresol.cache import Session
from entresol.cache.tokens import SessionTokens
from entresol.config import Settings
from entresol.errors import Code
from entresol.schema.model import Method, Model
from entresol.service.call import ANSWERED_BY_KEY, SESSION_KEY
from entresol.service.status import CallFailedError
from entresol.transport.caller import Caller

Detail = TypeVar("Detail", bound=Message)
CACHED_S = 10.0
_run = uuid.uuid4().hex[:8]
_numbers = itertools.count(1)
TOKENS = SessionTokens([key.encode() for key in Settings().token_keys])


def newer_token() -> str:
    """Return a token that only a newer platform with the same keys can have made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entresol.cache.tokens._FORMAT", 3)
        return TOKENS.encode(Session().after(7))


def new_id(prefix: str = "x") -> str:
    """Return an id that no other test has."""
    return f"{prefix}-{_run}-{next(_numbers)}"


@dataclass(frozen=True)
class Refusal:
    """The status a call ended with."""

    status: status_pb2.Status

    @property
    def message(self) -> str:
        return self.status.message

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        (info,) = self.details(error_details_pb2.ErrorInfo)
        return info

    @property
    def violations(self) -> dict[str, str]:
        """Return what is wrong, by field."""
        (bad,) = self.details(error_details_pb2.BadRequest)
        return {violation.field: violation.description for violation in bad.field_violations}

    def details(self, kind: type[Detail]) -> list[Detail]:
        found = []
        for packed in self.status.details:
            detail = kind()
            if packed.Unpack(detail):
                found.append(detail)
        return found


class Api:
    """Calls methods of a running platform; keyword arguments are the request, written as JSON has it."""

    def __init__(self, caller: Caller, model: Model) -> None:
        self.model = model
        self.session = ""
        self.trailing: Mapping[str, str] = {}
        self._caller = caller
        self._methods = {method.full_name.rpartition(".")[2]: method for method in model.methods.values()}

    @property
    def answered_by(self) -> str:
        """Return who answered the last call: near, cache, primary or replica:..."""
        return self.trailing[ANSWERED_BY_KEY].partition(":")[0]

    def method(self, name: str) -> Method:
        return self._methods[name]

    def request(self, name: str, fields: Mapping[str, Any]) -> Any:
        """Return the request message; `update_mask` is a text of paths with commas."""
        request: Any = self.method(name).input_class()
        for field, value in fields.items():
            if field == "update_mask":
                request.update_mask.paths.extend(value.split(","))
            elif isinstance(value, Message):
                getattr(request, field).CopyFrom(value)
            else:
                ParseDict({field: value}, request)
        return request

    def call(self, method: str, metadata: Mapping[str, str] | None = None, /, **fields: Any) -> Any:
        """Return the reply; `metadata` goes beside the session."""
        return self.send(method, self.request(method, fields), metadata)

    def send(self, name: str, request: Message, metadata: Mapping[str, str] | None = None) -> Any:
        """Return the reply to a request that is made already."""
        method = self.method(name)
        session = {SESSION_KEY: self.session} if self.session else {}
        answer = self._caller.call(method.path, request, {**session, **(metadata or {})})
        self.trailing = answer.trailing
        self.session = answer.trailing.get(SESSION_KEY, self.session)
        return method.output_class.FromString(answer.reply.SerializeToString())

    def read_until_cached(self, method: str, /, **fields: Any) -> Any:
        """Read until the cache answers with an entry as new as all that this session wrote: then the entry stays.

        What a write put there goes when the relay passes the write, so its own entry says nothing of the next read.
        """
        session = TOKENS.decode(self.session)
        self.session = TOKENS.encode(session.after(session.lsn))
        deadline_s = time.monotonic() + CACHED_S
        while time.monotonic() < deadline_s:
            reply = self.call(method, **fields)
            if self.answered_by in ("near", "cache"):
                return reply
        raise AssertionError(f"{method} was not answered by the cache within {CACHED_S} s")

    def refused(
        self, code: Code, method: str, metadata: Mapping[str, str] | None = None, /, **fields: Any
    ) -> Refusal:
        """Require that the call fails with `code`, and return how."""
        return self.refused_to_send(code, method, self.request(method, fields), metadata)

    def refused_to_send(
        self, code: Code, name: str, request: Message, metadata: Mapping[str, str] | None = None
    ) -> Refusal:
        """Require that the request fails with `code`, and return how."""
        try:
            reply = self.send(name, request, metadata)
        except CallFailedError as error:
            status = error.status
        else:
            raise AssertionError(f"{name} succeeded and should fail with {code.name}: {reply}")
        assert status.code == code, f"{Code(status.code).name}, not {code.name}: {status.message}"
        return Refusal(status)

    def pages(self, method: str, field: str, /, **fields: Any) -> list[list[Any]]:
        """Return every page of a list."""
        pages, token = [], ""
        while True:
            reply = self.call(method, page_token=token, **fields)
            pages.append(list(getattr(reply, field)))
            token = reply.next_page_token
            if not token:
                return pages
