"""A proto in an empty folder, and no Python: check, plan, migrate, serve, and every standard method answers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.embedded import EmbeddedServers
from entresol.schema.load import load
from entresol.schema.model import MethodKind
from entresol.testing.conformance import cases
from entresol.testing.servers import Databases

ENTRESOL = str(Path(sys.executable).parent / "entresol")
PROTO = """
// Books and who wrote them.
syntax = "proto3";

package library.v1;

import "entresol/options/v1/options.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";

// A book.
message Book {
  option (google.api.resource) = {
    type: "library.example.com/Book"
    pattern: "books/{book}"
    singular: "book"
    plural: "books"
  };
  option (entresol.options.v1.resource) = {
    indexes: [{fields: ["publish_time desc"]}]
    cache: {ttl: {seconds: 600}}
    search_fields: ["title"]
  };
  // The book's name.
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  // Its title.
  string title = 2 [(google.api.field_behavior) = REQUIRED];
  // How many pages it has.
  int32 page_count = 3 [(google.api.field_behavior) = OPTIONAL];
  // When it was published.
  google.protobuf.Timestamp publish_time = 4 [(google.api.field_behavior) = OPTIONAL];
  // What it is about.
  repeated string subjects = 5 [(google.api.field_behavior) = OPTIONAL];
  // Where it stands.
  Shelf shelf = 6 [(google.api.field_behavior) = OPTIONAL];
  // When it was last changed.
  google.protobuf.Timestamp update_time = 7 [(google.api.field_behavior) = OUTPUT_ONLY];
  // Changes with every change.
  string etag = 8;
}

// Where a book stands.
message Shelf {
  // The room.
  string room = 1 [(google.api.field_behavior) = OPTIONAL];
  // The row of shelves.
  int32 row = 2 [(google.api.field_behavior) = OPTIONAL];
}

// The library.
service LibraryService {
  // Returns one book.
  rpc GetBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {get: "/v1/{name=books/*}"};
  }
  // Returns several books.
  rpc BatchGetBooks(BatchGetBooksRequest) returns (BatchGetBooksResponse) {
    option (google.api.http) = {get: "/v1/books:batchGet"};
  }
  // Returns books page by page.
  rpc ListBooks(ListBooksRequest) returns (ListBooksResponse) {
    option (google.api.http) = {get: "/v1/books"};
  }
  // Creates a book.
  rpc CreateBook(CreateBookRequest) returns (Book) {
    option (google.api.http) = {post: "/v1/books" body: "book"};
  }
  // Creates several books.
  rpc BatchCreateBooks(BatchCreateBooksRequest) returns (BatchCreateBooksResponse) {
    option (google.api.http) = {post: "/v1/books:batchCreate" body: "*"};
  }
  // Changes a book.
  rpc UpdateBook(UpdateBookRequest) returns (Book) {
    option (google.api.http) = {patch: "/v1/{book.name=books/*}" body: "book"};
  }
  // Deletes a book.
  rpc DeleteBook(DeleteBookRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {delete: "/v1/{name=books/*}"};
  }
}

// Asks for a book.
message GetBookRequest {
  // The book's name.
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "library.example.com/Book"
  ];
}
// Asks for several books.
message BatchGetBooksRequest {
  // Their names.
  repeated string names = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "library.example.com/Book"
  ];
}
// Answers with all of them.
message BatchGetBooksResponse {
  // The books.
  repeated Book books = 1;
}
// Asks for a page.
message ListBooksRequest {
  // How many.
  int32 page_size = 1 [(google.api.field_behavior) = OPTIONAL];
  // Where to begin.
  string page_token = 2 [(google.api.field_behavior) = OPTIONAL];
  // Which.
  string filter = 3 [(google.api.field_behavior) = OPTIONAL];
  // In which order.
  string order_by = 4 [(google.api.field_behavior) = OPTIONAL];
}
// Answers with a page.
message ListBooksResponse {
  // The books.
  repeated Book books = 1;
  // Where the next page begins.
  string next_page_token = 2;
}
// Asks for a new book.
message CreateBookRequest {
  // The book.
  Book book = 1 [(google.api.field_behavior) = REQUIRED];
  // Its id.
  string book_id = 2 [(google.api.field_behavior) = OPTIONAL];
}
// Asks for several new books.
message BatchCreateBooksRequest {
  // The requests.
  repeated CreateBookRequest requests = 1 [(google.api.field_behavior) = REQUIRED];
}
// Answers with them.
message BatchCreateBooksResponse {
  // The books.
  repeated Book books = 1;
}
// Asks for a change.
message UpdateBookRequest {
  // The new values.
  Book book = 1 [(google.api.field_behavior) = REQUIRED];
  // What to change.
  google.protobuf.FieldMask update_mask = 2 [(google.api.field_behavior) = OPTIONAL];
}
// Asks for a book to be deleted.
message DeleteBookRequest {
  // The book's name.
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "library.example.com/Book"
  ];
  // The etag it must still have.
  string etag = 2 [(google.api.field_behavior) = OPTIONAL];
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "protos" / "library" / "v1").mkdir(parents=True)
    (folder / "protos" / "library" / "v1" / "library.proto").write_text(PROTO)
    return folder


@pytest.fixture(scope="module")
def environment(servers: EmbeddedServers, databases: Databases) -> Iterator[dict[str, str]]:
    async def empty(_url: str) -> None:
        """Give a database that nothing was migrated into."""

    database = asyncio.run(databases.create(empty, replicated=True))
    yield {
        **{key: value for key, value in os.environ.items() if not key.startswith("ENTRESOL_")},
        "ENTRESOL_DATABASE_WRITE": database.write_url,
        "ENTRESOL_DATABASE_READ": " ".join(database.read_urls),
        "ENTRESOL_CACHE_URL": servers.cache_url,
        "ENTRESOL_CACHE_PREFIX": "library",
        "ENTRESOL_RELAY_SLOT": "library",
        "ENTRESOL_LISTEN": "127.0.0.1:0",
    }
    asyncio.run(databases.drop(database))


def entresol(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [ENTRESOL, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def address(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    assert json.loads(entresol(folder, environment, "check", "--json"))["ok"]
    assert "wrote" in entresol(
        folder, environment, "plan", "--write", "migrations/library", "--title", "books"
    )
    assert "applied" in entresol(folder, environment, "migrate")
    assert "nothing to do" in entresol(folder, environment, "plan")
    relay = subprocess.Popen(
        [ENTRESOL, "relay"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    server = subprocess.Popen(
        [ENTRESOL, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", server.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        for process in (server, relay):
            process.send_signal(signal.SIGTERM)
        codes = []
        for process in (server, relay):
            process.communicate(timeout=20)
            codes.append(process.returncode)
    assert codes == [0, 0]


@pytest.mark.timeout(120)
def test_every_standard_method_of_a_new_proto_answers(folder: Path, address: str) -> None:
    model = load(compile_protos(folder / "protos"))
    kinds = {method.kind for method in model.methods.values()}
    assert kinds == set(MethodKind) - {MethodKind.CUSTOM, MethodKind.UNDELETE, MethodKind.PURGE}
    ran = [str(case) for case in cases(model) if case.run(address) is None]
    assert len(ran) >= 12


def test_a_call_from_the_command_line_says_who_answered(
    folder: Path, environment: dict[str, str], address: str
) -> None:
    call = ("call", "--address", address, "--json")
    service = "library.v1.LibraryService"
    made = json.loads(
        entresol(folder, environment, *call, f"{service}/CreateBook", "book.title=Momo", "book_id=momo")
    )
    assert made["answered_by"] == "primary"
    read = json.loads(entresol(folder, environment, *call, f"{service}/GetBook", "name=books/momo"))
    assert read["reply"]["title"] == "Momo"
    assert read["answered_by"] == "cache"


def test_a_wrong_proto_is_refused_with_every_mistake(folder: Path, tmp_path: Path) -> None:
    bad = PROTO.replace('pattern: "books/{book}"', 'pattern: "books/{book_id}"').replace(
        "publish_time desc", "nothing"
    )
    (tmp_path / "library.proto").write_text(bad)
    done = subprocess.run(
        [ENTRESOL, "check", "--protos", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("library.proto:") >= 2
