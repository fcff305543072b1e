"""The method table: every method of the protos with its handler, and the order of the links around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from entresol.clock import Identifiers
from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.records import Listings, Records
from entresol.schema.checks import RequestCheck
from entresol.schema.model import Method, MethodKind, Model
from entresol.schema.pages import PageTokens
from entresol.service import methods, purges
from entresol.service.call import Call, Handler, Link
from entresol.service.chain import compose
from entresol.service.creation import Creator
from entresol.service.custom import custom
from entresol.service.jobs import begin
from entresol.service.links.authorize import authorize, guard, is_awaited
from entresol.service.links.deadline import deadline
from entresol.service.links.decode import decode
from entresol.service.links.errors import errors
from entresol.service.links.log import ALL, logged
from entresol.service.links.quota import quota
from entresol.service.links.trace import trace
from entresol.service.links.validate import validate
from entresol.service.ops.access import LIST_OPERATIONS, is_ops, nobody
from entresol.service.quick import Look, Quick, quick, token_of
from entresol.service.registry import Function, Registry
from entresol.service.singletons import Inserter
from entresol.service.updates import Updater
from entresol.service.writes import Writes


@dataclass(frozen=True, slots=True)
class Route:
    """One method and what answers it: `handler(request bytes, call)`."""

    method: Method
    handler: Handler
    guarded: bool = False  # a policy decides who may call it
    quick: Quick | None = None  # for calls that wish for nothing
    is_custom: bool = False  # a function of the application answers it, whatever its name promises

    def look(
        self, request: bytes, metadata: Mapping[str, str], begin: Callable[[], Call]
    ) -> bytes | Look | None:
        """Return what copies say to a call with this metadata, as `Quick.look` does."""
        token = None if self.quick is None else token_of(metadata)
        return None if self.quick is None or token is None else self.quick.look(request, token, begin)


def build(
    model: Model,
    records: Records,
    registry: Registry,
    settings: Settings,
    identifiers: Identifiers | None = None,
    provided: Mapping[str, Function] = MappingProxyType({}),
) -> Mapping[str, Route]:
    """Return the table, by path; every custom method is `provided`, or has its function: `check_functions` sees to it.

    Raises:
        ConfigurationError: a setting cannot work, or a batch has no method whose requests it carries.
    """
    shared_quota = quota(settings)
    told = (logged(settings.log_calls),) if settings.log_calls else ()
    standard = _Standard(model, records, settings, identifiers or Identifiers())
    table = {}
    for path, method in model.methods.items():
        check = RequestCheck(method, model, batch_size_max=settings.batch_size_max)
        # Whoever knows an operation's name may follow it; a list tells the names of all.
        is_operators = is_ops(method.full_name) or (
            registry.policy is None and method.full_name == LIST_OPERATIONS
        )
        policy = (registry.operator_policy or nobody) if is_operators else registry.policy
        function = provided.get(method.full_name) or registry.functions.get(method.full_name)
        if function:
            handler = custom(method, function, records, model)
        elif method.full_name in registry.jobs:
            handler = begin(method, standard.writes)
        else:
            handler = standard.handler(method, check)
        before = (deadline(settings), decode(settings, records.tokens))
        links: tuple[Link, ...] = (
            trace,
            *told,
            errors,
            shared_quota,
            *before,
            authorize(policy),
            validate(check),
        )
        direct = None
        # What must be awaited is not quick; and a line for each call is written by a link.
        if not function and not is_awaited(policy) and settings.log_calls != ALL:
            permit = None if policy is None else compose(before, guard(policy))
            direct = quick(method, records, check, permit, batch_size_max=settings.batch_size_max)
        whole = compose(links, handler)
        table[path] = Route(method, whole, policy is not None, direct, function is not None)
    return table


class _Standard:
    """The handlers of standard methods, one branch for each kind."""

    def __init__(self, model: Model, records: Records, settings: Settings, identifiers: Identifiers) -> None:
        self._model = model
        self._records = records
        self._identifiers = identifiers
        self._listings = Listings(records)
        self._tokens = _page_tokens(settings)
        self._inserter = Inserter(model, identifiers)
        self.writes = Writes(records, settings, self._inserter)

    def handler(self, method: Method, check: RequestCheck) -> Handler:
        match method.kind:
            case MethodKind.GET:
                return methods.get(method, self._records)
            case MethodKind.BATCH_GET:
                return methods.batch_get(method, self._records)
            case MethodKind.LIST:
                return methods.list_(method, self._records, self._listings, self._tokens)
            case MethodKind.CREATE:
                return self.writes.create(method, Creator(method, self._identifiers))
            case MethodKind.BATCH_CREATE:
                create = _create_of(method, self._model)
                return self.writes.batch_create(method, Creator(create, self._identifiers))
            case MethodKind.UPDATE:
                return self.writes.update(method, Updater(method, check, self._inserter))
            case MethodKind.DELETE:
                return self.writes.delete(method)
            case MethodKind.UNDELETE:
                return self.writes.undelete(method)
            case MethodKind.PURGE:
                return purges.begin(method, self.writes)
            case MethodKind.CUSTOM:
                raise ConfigurationError(f"{method.full_name} has no function")


def _page_tokens(settings: Settings) -> PageTokens:
    try:
        return PageTokens([key.encode() for key in settings.token_keys])
    except ValueError as error:
        raise ConfigurationError(f"setting token_keys: {error}") from error


def _create_of(batch: Method, model: Model) -> Method:
    """Return the Create method whose requests a BatchCreate carries."""
    for method in model.methods.values():
        if method.kind is MethodKind.CREATE and method.resource is batch.resource:
            return method
    raise ConfigurationError(f"{batch.full_name} needs a Create method of the same resource; declare one")
