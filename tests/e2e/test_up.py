"""`entresol up` in a new folder: it waits for the tables of a new proto, and then serves it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from entresol.config import Settings
from entresol.embedded.binaries import find_postgres
from entresol.embedded.folders import open_folders
from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port
from entresol.testing.plugin import run
from entresol.transport.caller import Caller

ENTRESOL = str(Path(sys.executable).parent / "entresol")
PROTO = """
// Notes.
syntax = "proto3";

package notes.v1;

import "entresol/ops/v1/jobs.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/longrunning/operations.proto";

// A note.
message Note {
  option (google.api.resource) = {
    type: "notes.example.com/Note"
    pattern: "notes/{note}"
    singular: "note"
    plural: "notes"
  };
  // The note's name.
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  // What it says.
  string text = 2 [(google.api.field_behavior) = REQUIRED];
}

// Notes.
service NoteService {
  // Returns one note.
  rpc GetNote(GetNoteRequest) returns (Note) {
    option (google.api.http) = {get: "/v1/{name=notes/*}"};
  }
  // Returns notes page by page.
  rpc ListNotes(ListNotesRequest) returns (ListNotesResponse) {
    option (google.api.http) = {get: "/v1/notes"};
  }
  // Creates a note.
  rpc CreateNote(CreateNoteRequest) returns (Note) {
    option (google.api.http) = {post: "/v1/notes" body: "note"};
  }
  // Deletes notes.
  rpc PurgeNotes(PurgeNotesRequest) returns (google.longrunning.Operation) {
    option (google.api.http) = {post: "/v1/notes:purge" body: "*"};
    option (google.longrunning.operation_info) = {
      response_type: "PurgeNotesResponse" metadata_type: "entresol.ops.v1.JobMetadata"
    };
  }
}

// Asks for a note.
message GetNoteRequest {
  // The note's name.
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "notes.example.com/Note"
  ];
}
// Asks for a page.
message ListNotesRequest {
  // How many.
  int32 page_size = 1 [(google.api.field_behavior) = OPTIONAL];
  // Where to begin.
  string page_token = 2 [(google.api.field_behavior) = OPTIONAL];
}
// Answers with a page.
message ListNotesResponse {
  // The notes.
  repeated Note notes = 1;
  // Where the next page begins.
  string next_page_token = 2;
}
// Asks for a new note.
message CreateNoteRequest {
  // The note.
  Note note = 1 [(google.api.field_behavior) = REQUIRED];
}
// Asks for a deletion.
message PurgeNotesRequest {
  // What goes.
  string filter = 1 [(google.api.field_behavior) = REQUIRED];
  // Whether it does.
  bool force = 2 [(google.api.field_behavior) = OPTIONAL];
}
// Says what went.
message PurgeNotesResponse {
  // How many.
  int32 purge_count = 1;
  // Their names.
  repeated string purge_sample = 2;
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "protos" / "notes" / "v1").mkdir(parents=True)
    (tmp_path / "protos" / "notes" / "v1" / "notes.proto").write_text(PROTO)
    return tmp_path


@contextmanager
def up(folder: Path, number: signal.Signals = signal.SIGTERM, **environment: str) -> Iterator[Popen[str]]:
    command = [ENTRESOL, "up", "--listen", "127.0.0.1:0", "--replicas", "1"]
    environment = {
        "ENTRESOL_ADMIN_LISTEN": "127.0.0.1:0",
        **(environment or {"ENTRESOL_WEB_LISTEN": "127.0.0.1:0"}),
    }
    process = Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode == (0 if number is signal.SIGTERM else -number)


def entresol(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as in another terminal, in which nothing was exported."""
    return subprocess.run(
        [ENTRESOL, *words], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def lines_until(process: subprocess.Popen[str], end: str) -> str:
    """Return what the process says up to the line that has `end` in it."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if end in line:
            return said
    raise AssertionError(said)


def can_count() -> bool:
    """Tell whether the PostgreSQL that is found here has the extension that counts statements."""
    folders = open_folders(None)
    try:
        return bool(find_postgres(Settings.load().postgres_bin, folders).counting().preloaded)
    finally:
        folders.remove()


@pytest.mark.timeout(90)
def test_a_new_proto_is_migrated_by_what_up_says_and_then_served(folder: Path) -> None:
    with up(folder) as process:
        said = lines_until(process, "start this command again")
        assert "nothing is served yet: table public.notes is missing" in said
        plan = re.search(r"entresol (plan --write migrations/notes --title notes) ", said)
        assert plan is not None
        for command in (plan[1].split(), ["migrate"]):
            done = entresol(folder, *command)
            assert done.returncode == 0, done.stderr
    assert (folder / "migrations" / "notes" / "0001_notes.sql").is_file()
    with up(folder) as process:
        said = lines_until(process, "try: entresol call")
        found = re.search(r"try: entresol call (\S+) --address (\S+)", said)
        assert found is not None
        with Caller(found[2]) as caller:
            caller.call("notes.v1.NoteService/CreateNote", {"note": {"text": "Buy milk"}})
            begun = caller.call("notes.v1.NoteService/PurgeNotes", {"filter": "*", "force": True}).reply
            waited = {"name": begun.name, "timeout": "10s"}
            assert caller.call("google.longrunning.Operations/WaitOperation", waited).reply.done
            assert len(caller.call(found[1], {}).reply.notes) <= 1  # type: ignore[attr-defined]  # a replica may lag
        told = json.loads(entresol(folder, "report", "slow", "--json", "--limit", "500").stdout)
        assert told["complete"] == can_count()
        assert any("notes" in one["query"] for one in told["statements"]) == can_count()


@pytest.mark.timeout(90)
def test_up_leads_to_the_steps_of_a_change_that_cannot_be_planned(folder: Path) -> None:
    with up(folder) as process:
        lines_until(process, "start this command again")
        assert entresol(folder, "plan", "--write", "migrations/notes").returncode == 0
    proto = folder / "protos" / "notes" / "v1" / "notes.proto"
    proto.write_text(PROTO.replace("string text = 2", "int64 text = 2"))
    with up(folder) as process:
        said = lines_until(process, "start this command again")
        assert "public.notes.text: the column is text, the model wants bigint" in said
        assert "  entresol plan     # tells the steps" in said
        assert "plan --write" not in said
        done = entresol(folder, "plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: public.notes.text: the column is text")


@pytest.mark.timeout(90)
def test_other_commands_find_the_stores_while_they_run_unless_one_is_named(folder: Path) -> None:
    nowhere = {"ENTRESOL_CACHE_URL": "redis://127.0.0.1:1", "ENTRESOL_DATABASE_CONNECT_TIMEOUT_S": "0.2"}
    with up(folder, signal.SIGKILL) as process:
        lines_until(process, "start this command again")
        assert "CREATE TABLE" in entresol(folder, "plan").stdout
        named = entresol(folder, "plan", **nowhere)
        assert named.returncode != 0, "the database is the default one then, and none runs there"
    stores = folder / ".entresol" / "stores.toml"
    assert run(until(partial(asyncio.to_thread, lambda: not stores.exists()), 10.0))
    assert entresol(folder, "plan", ENTRESOL_DATABASE_CONNECT_TIMEOUT_S="0.2").returncode != 0


@pytest.mark.timeout(90)
def test_the_web_listens_where_the_environment_or_the_file_says(folder: Path) -> None:
    with up(folder) as process:
        lines_until(process, "start this command again")
        for command in (["plan", "--write", "migrations/notes"], ["migrate"]):
            assert entresol(folder, *command).returncode == 0
    by_environment, by_file = (f"127.0.0.1:{free_port()}" for _ in range(2))
    (folder / "settings.toml").write_text(f'web_listen = "{by_file}"\n')
    with up(folder, ENTRESOL_WEB_LISTEN=by_environment) as process:
        assert f"web  http://{by_environment}/" in lines_until(process, "try: entresol call")
    with up(folder, ENTRESOL_CONFIG="settings.toml") as process:
        assert f"web  http://{by_file}/" in lines_until(process, "try: entresol call")
