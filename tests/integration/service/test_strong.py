"""A resource that is declared STRONG, over two servers: cached, and never older than what was acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.integration.service.api import Api, new_id, newer_token
from tests.integration.service.conftest import LAG_MS, database_of, settings_of
from tests.integration.service.silence import silent

from entresol.cache.fences import Fences
from entresol.codegen.protos import compile_protos
from entresol.embedded import EmbeddedServers
from entresol.embedded.polling import until
from entresol.errors import Code
from entresol.schema.load import load
from entresol.service.call import CONSISTENCY_KEY
from entresol.service.registry import Registry
from entresol.service.status import CallFailedError
from entresol.storage.transaction import Transaction
from entresol.testing.platforms import make_tables
from entresol.testing.plugin import run
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Databases
from entresol.transport.caller import Caller

METHODS = """
  rpc Get{0}(Get{0}Request) returns ({0}) {{ option (google.api.http) = {{get: "/v1/{{name={1}/*}}"}}; }}
  rpc List{0}s(List{0}sRequest) returns (List{0}sResponse) {{
    option (google.api.http) = {{get: "/v1/{1}"}};
  }}
  rpc Create{0}(Create{0}Request) returns ({0}) {{
    option (google.api.http) = {{post: "/v1/{1}" body: "{2}"}};
  }}
  rpc Update{0}(Update{0}Request) returns ({0}) {{
    option (google.api.http) = {{patch: "/v1/{{{2}.name={1}/*}}" body: "{2}"}};
  }}
"""
MESSAGES = """
message {0} {{
  option (google.api.resource) = {{
    type: "vault.example.com/{0}" pattern: "{1}/{{{2}}}" plural: "{1}" singular: "{2}"
  }};
  option (entresol.options.v1.resource) = {{ {3} }};
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  int64 balance = 2 [(google.api.field_behavior) = OPTIONAL];
  string etag = 3;
}}
message Get{0}Request {{
  string name = 1 [(google.api.field_behavior) = REQUIRED, (google.api.resource_reference) = {{
    type: "vault.example.com/{0}" }}];
}}
message List{0}sRequest {{
  int32 page_size = 1 [(google.api.field_behavior) = OPTIONAL];
  string page_token = 2 [(google.api.field_behavior) = OPTIONAL];
}}
message List{0}sResponse {{
  repeated {0} {1} = 1;
  string next_page_token = 2;
}}
message Create{0}Request {{
  {0} {2} = 1 [(google.api.field_behavior) = REQUIRED];
  string {2}_id = 2 [(google.api.field_behavior) = OPTIONAL];
  bool validate_only = 3 [(google.api.field_behavior) = OPTIONAL];
}}
message Update{0}Request {{
  {0} {2} = 1 [(google.api.field_behavior) = REQUIRED];
  google.protobuf.FieldMask update_mask = 2 [(google.api.field_behavior) = OPTIONAL];
}}
"""
HEAD = """
syntax = "proto3";
package vault.v1;
import "entresol/options/v1/options.proto";
import "google/api/annotations.proto";
import "google/api/client.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/protobuf/field_mask.proto";
"""
KINDS = (
    ("Account", "accounts", "account", "consistency: CONSISTENCY_STRONG"),
    (
        "Meter",
        "meters",
        "meter",
        "consistency: CONSISTENCY_STRONG cache: {unfenced_writes: UNFENCED_WRITES_ALLOW}",
    ),
    (
        "Limit",
        "limits",
        "limit",
        "consistency: CONSISTENCY_STRONG cache: {max_staleness: {seconds: 20} stale_reads: STALE_READS_REFUSE}",
    ),
    ("Note", "notes", "note", ""),
)
PROTO = "".join(
    (
        HEAD,
        'service VaultService { option (google.api.default_host) = "vault.example.com";',
        *(METHODS.format(*kind) for kind in KINDS),
        "}",
        *(MESSAGES.format(*kind) for kind in KINDS),
    )
)
STRONG = {"entresol-consistency": "strong"}
EVENTUAL = {"entresol-consistency": "eventual"}
RACE_S = 3.0
RACE_S_MAX = 60.0
RACES = 50
RECOVERED_S = 10.0


@dataclass
class Vault:
    """Two servers over the same stores; `api` calls the first. The second has no relay of its own."""

    servers: EmbeddedServers
    processes: tuple[RunningPlatform, RunningPlatform]
    api: Api

    def evict(self, name: str) -> None:
        """Remove an entry as a full Redis does, and the copies of it."""
        entries, table = self.processes[0].platform.records.entries, name.partition("/")[0]
        assert entries is not None
        key = entries.layout.place(table, name).entry
        for process in self.processes:
            assert process.platform.records.near is not None
            process.platform.records.near.drop(table, [name])
        self.processes[0].run(entries.connection.execute(("DEL", key)))

    def count(self, sql: str) -> Any:
        """Return what the primary answers."""

        async def ask() -> Any:
            connection = await asyncpg.connect(self.processes[0].settings.database_write)
            try:
                return await connection.fetchval(sql)
            finally:
                await connection.close()

        return run(ask())


@pytest.fixture(scope="module")
def own_servers() -> Iterator[EmbeddedServers]:
    """Give servers to harm, with one replica."""
    started = run(EmbeddedServers.start(replicas=1))
    yield started
    run(started.stop())


@pytest.fixture(scope="module")
def vault(own_servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    protos = tmp_path_factory.mktemp("protos")
    path = protos / "vault" / "v1" / "vault.proto"
    path.parent.mkdir(parents=True)
    path.write_text(PROTO)
    model = load(compile_protos(Path(protos)))

    async def ready(url: str) -> None:
        await make_tables(url, model)

    with database_of(Databases(own_servers), ready) as database:
        settings = settings_of(database, "vault", protos)
        with (
            RunningPlatform(settings, functions=Registry()) as first,
            RunningPlatform(settings, relay=False, functions=Registry()) as second,
            Caller(first.address) as caller,
        ):
            yield Vault(own_servers, (first, second), Api(caller, model))


@pytest.fixture
def account(vault: Vault) -> Any:
    """Give a new account."""
    return vault.api.call("CreateAccount", account={"balance": 1}, account_id=new_id("a"))


def test_a_strong_read_is_answered_by_the_cache(vault: Vault, account: Any) -> None:
    api = vault.api
    assert api.call("GetAccount", STRONG, name=account.name) == account
    assert api.read_until_cached("GetAccount", name=account.name) == account
    updated = api.call("UpdateAccount", account={"name": account.name, "balance": 2}, update_mask="balance")
    assert api.call("GetAccount", name=account.name) == updated


def test_a_miss_is_read_from_the_primary_and_fills_the_cache(vault: Vault, account: Any) -> None:
    api = vault.api
    api.read_until_cached("GetAccount", name=account.name)
    vault.evict(account.name)
    assert api.call("GetAccount", name=account.name) == account
    assert api.answered_by == "primary"
    assert api.call("GetAccount", name=account.name) == account
    assert api.answered_by == "cache"


def test_who_asks_for_less_gets_less_and_fills_nothing_from_a_replica(vault: Vault, account: Any) -> None:
    api = vault.api
    api.read_until_cached("GetAccount", name=account.name)
    run(vault.servers.settle())
    vault.evict(account.name)
    for _ in range(2):
        assert api.call("GetAccount", EVENTUAL, name=account.name) == account
        assert api.answered_by == "replica"


def test_a_strong_call_on_another_resource_is_answered_by_the_primary(vault: Vault) -> None:
    api = vault.api
    note = api.call("CreateNote", note={"balance": 1}, note_id=new_id("n"))
    api.read_until_cached("GetNote", name=note.name)
    api.session = ""
    for _ in range(2):
        assert api.call("GetNote", STRONG, name=note.name) == note
        assert api.answered_by == "primary"


@pytest.mark.parametrize("level", ["", "strong", "session", "bounded"])
def test_while_the_relay_is_away_hits_of_a_resource_that_refuses_them_are_not_shown(
    vault: Vault, level: str
) -> None:
    """What psql writes meanwhile reaches no entry: only the primary has it."""
    api, metadata = vault.api, {CONSISTENCY_KEY: level} if level else {}
    limit = api.call("CreateLimit", limit={"balance": 1}, limit_id=new_id("l"))
    api.read_until_cached("GetLimit", name=limit.name)
    with silent(vault.processes[0]):
        for _ in range(2):
            api.call("GetLimit", metadata, name=limit.name)
            assert api.answered_by == "primary"
    api.read_until_cached("GetLimit", name=limit.name)


def test_a_token_that_cannot_be_read_here_is_answered_by_the_primary_also_of_a_strong_record(
    vault: Vault, account: Any
) -> None:
    vault.api.read_until_cached("GetAccount", name=account.name)
    vault.api.session = newer_token()
    vault.api.call("GetAccount", name=account.name)
    assert vault.api.answered_by == "primary"
    vault.api.session = ""


def test_a_read_sees_the_write_however_far_the_replicas_lag(vault: Vault, account: Any) -> None:
    api, (replica,) = vault.api, vault.servers.replicas
    run(replica.set_delay(LAG_MS))
    try:
        for balance in range(2, 6):
            api.call(
                "UpdateAccount", account={"name": account.name, "balance": balance}, update_mask="balance"
            )
            api.session = ""
            assert api.call("GetAccount", name=account.name).balance == balance
            vault.evict(account.name)
            assert api.call("GetAccount", name=account.name).balance == balance
    finally:
        run(replica.set_delay(0))
        run(vault.servers.settle())


def test_what_is_only_validated_fences_nothing(vault: Vault, account: Any) -> None:
    entries = vault.processes[0].platform.records.entries
    assert entries is not None
    layout, wanted = entries.layout, new_id("a")
    vault.api.call("CreateAccount", account={"balance": 1}, account_id=wanted, validate_only=True)
    place = layout.place("accounts", f"accounts/{wanted}")
    (fence,) = vault.processes[0].run(
        entries.connection.execute(("HGET", layout.fences(place.partition), place.entry))
    )
    assert fence is None


def test_without_redis_a_write_is_refused_and_nothing_is_written_unless_its_resource_allows_it(
    vault: Vault, account: Any
) -> None:
    api = vault.api
    meter = api.call("CreateMeter", meter={"balance": 1}, meter_id=new_id("m"))
    run(vault.servers.redis.pause())
    try:
        refusal = api.refused(
            Code.UNAVAILABLE,
            "UpdateAccount",
            account={"name": account.name, "balance": 2},
            update_mask="balance",
        )
        assert "UNFENCED_WRITES_ALLOW" in refusal.message
        assert refusal.details(_retry_info())
        assert api.call("GetAccount", name=account.name).balance == 1
        assert vault.count("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == 0
        api.call("UpdateMeter", meter={"name": meter.name, "balance": 2}, update_mask="balance")
        assert api.call("GetMeter", name=meter.name).balance == 2
    finally:
        run(vault.servers.redis.resume())
    assert run(until(partial(_is_written, api, account.name), RECOVERED_S))


async def _is_written(api: Api, name: str) -> bool:
    """Try the write that was refused again, as its error says."""
    try:
        api.call("UpdateAccount", account={"name": name, "balance": 2}, update_mask="balance")
    except CallFailedError:
        return False
    return True


def _retry_info() -> Any:
    from google.rpc.error_details_pb2 import RetryInfo

    return RetryInfo


@pytest.mark.parametrize("watched", [True, False])
def test_what_sql_of_a_custom_method_wrote_is_seen_by_every_read_that_follows(
    vault: Vault, account: Any, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_transaction: Transaction) -> list[Any]:
        return []

    if not watched:
        monkeypatch.setattr(Transaction, "_unnamed", none)
    first, second = (process.platform for process in vault.processes)
    resource = first.model.by_message["vault.v1.Account"]

    async def write(balance: int) -> None:
        async with first.records.transaction() as transaction:
            text = "UPDATE accounts SET balance = $2 WHERE name = $1"
            await transaction.execute(text, account.name, balance)

    async def read() -> Any:
        found = await second.records.get_one(resource, account.name)
        return resource.message_class.FromString(found.message_of(account.name))

    stale = 0
    for balance in range(2, 30):
        vault.api.read_until_cached("GetAccount", name=account.name)
        vault.processes[0].run(write(balance))
        stale += vault.processes[1].run(read()).balance != balance
    assert (stale == 0) is watched


def test_sql_over_other_tables_leaves_the_entries_of_strong_resources_alone(
    vault: Vault, account: Any
) -> None:
    platform = vault.processes[0].platform
    entries = platform.records.entries
    assert entries is not None

    async def floor() -> Any:
        (found,) = await entries.connection.execute(("HGET", entries.layout.meta(0), "f:accounts"))
        return found

    async def write() -> None:
        async with platform.records.transaction() as transaction:
            await transaction.fetch("SELECT * FROM accounts")
            await transaction.execute("UPDATE notes SET balance = 7")

    before = vault.processes[0].run(floor())
    vault.processes[0].run(write())
    assert vault.processes[0].run(floor()) == before


@dataclass
class Race:
    """Readers and writers of a few accounts, in both processes at once."""

    vault: Vault
    names: list[str]
    fenced: bool
    began_s: float = 0.0
    acknowledged: dict[str, int] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    hits: int = 0
    writes: int = 0

    async def write(self, process: RunningPlatform) -> None:
        """Add one to account after account; what is acknowledged is noted at once."""
        records, resource = process.platform.records, process.platform.model.by_message["vault.v1.Account"]
        (balance,) = (item for item in resource.fields if item.name == "balance")
        for name in itertools.cycle(self.names):
            if self.is_over():
                return
            async with records.transaction() as transaction:
                row = await transaction.get(resource, name, lock=True)
                assert row is not None
                message: Any = resource.message_class.FromString(row.message)
                message.balance += 1
                await transaction.update(resource, message, [balance], version=None)
            self.acknowledged[name] = max(self.acknowledged.get(name, 0), message.balance)
            self.writes += 1

    async def read(self, process: RunningPlatform) -> None:
        """Read account after account, and note what is older than what was acknowledged when the read began."""
        records, resource = process.platform.records, process.platform.model.by_message["vault.v1.Account"]
        for name in itertools.cycle(self.names):
            if self.is_over():
                return
            least = self.acknowledged.get(name, 0)
            found = await records.get_one(resource, name)
            self.hits += found.answered_by == "cache"
            balance = resource.message_class.FromString(found.message).balance
            if balance < least:
                self.stale.append(f"{name}: {balance} from {found.answered_by}, and {least} was acknowledged")

    async def evict(self, process: RunningPlatform) -> None:
        """Make misses."""
        entries = process.platform.records.entries
        assert entries is not None
        for name in itertools.cycle(self.names):
            if self.is_over():
                return
            await entries.connection.execute(("DEL", entries.layout.place("accounts", name).entry))
            await asyncio.sleep(0.05)

    def is_over(self) -> bool:
        """Tell whether it has run for RACE_S and seen enough, however busy the machine is."""
        elapsed_s = time.monotonic() - self.began_s
        enough = self.writes > RACES and self.hits > RACES and (self.fenced or bool(self.stale))
        return elapsed_s > RACE_S_MAX or (elapsed_s > RACE_S and enough)

    def run(self) -> None:
        """Let them all run."""
        self.began_s = time.monotonic()

        async def one(process: RunningPlatform) -> None:
            work: list[Coroutine[Any, Any, None]] = [self.write(process) for _ in range(2)]
            work += [self.read(process) for _ in range(4)]
            await asyncio.gather(*work, self.evict(process))

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda process: process.run(one(process)), self.vault.processes))


@pytest.mark.parametrize("fenced", [True, False])
def test_no_read_that_began_after_an_acknowledgement_shows_an_older_value(
    vault: Vault, fenced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        vault.api.call("CreateAccount", account={"balance": 1}, account_id=new_id("a")).name for _ in range(3)
    ]
    if not fenced:

        async def nothing(_fences: Fences, _changes: object) -> None: ...

        monkeypatch.setattr(Fences, "before_commit", nothing)
    race = Race(vault, names, fenced)
    race.run()
    assert race.writes > RACES
    assert race.hits > RACES
    assert (not race.stale) is fenced, race.stale[:3]
