"""`entresol up` in a new folder: it waits for the tables of a new proto, and then serves it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from entresol.transport.caller import Caller

ENTRESOL = str(Path(sys.executable).parent / "entresol")
PROTO = """
// Notes.
syntax = "proto3";

package notes.v1;

import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";

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
"""


@contextmanager
def up(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [ENTRESOL, "up", "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0", "--replicas", "1"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def lines_until(process: subprocess.Popen[str], end: str) -> str:
    """Return what the process says up to the line that has `end` in it."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if end in line:
            return said
    raise AssertionError(said)


@pytest.mark.timeout(90)
def test_a_new_proto_is_migrated_and_then_served(tmp_path: Path) -> None:
    (tmp_path / "protos" / "notes" / "v1").mkdir(parents=True)
    (tmp_path / "protos" / "notes" / "v1" / "notes.proto").write_text(PROTO)
    with up(tmp_path) as process:
        said = lines_until(process, "start this command again")
        assert "nothing is served yet: table public.notes is missing" in said
        exported = dict(re.findall(r'export (\w+)="(.*)"', said))
        for command in (["plan", "--write", "migrations/notes"], ["migrate"]):
            environment = {**os.environ, **exported}
            subprocess.run([ENTRESOL, *command], cwd=tmp_path, env=environment, check=True, timeout=60)
    with up(tmp_path) as process:
        said = lines_until(process, "try: entresol call")
        found = re.search(r"try: entresol call (\S+) --address (\S+)", said)
        assert found is not None
        with Caller(found[2]) as caller:
            caller.call("notes.v1.NoteService/CreateNote", {"note": {"text": "Buy milk"}})
            assert len(caller.call(found[1], {}).reply.notes) <= 1  # type: ignore[attr-defined]  # a replica may lag
