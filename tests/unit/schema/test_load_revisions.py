"""The revision of a resource changes when its serialized messages look different, and only then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.fields import read_field
from entresol.schema.revisions import revision_of
from entresol.schema.source import Source

VARIANTS = {
    "Plain": "string title = 1; int32 size = 2; Part part = 3;",
    "OtherOrder": "Part part = 3; int32 size = 2; string title = 1;",
    "OtherColumn": 'string title = 1 [(entresol.options.v1.field).column = "headline"]; int32 size = 2; Part part = 3;',
    "Required": "string title = 1 [(google.api.field_behavior) = REQUIRED]; int32 size = 2; Part part = 3;",
    "OtherName": "string headline = 1; int32 size = 2; Part part = 3;",
    "OtherNumber": "string title = 4; int32 size = 2; Part part = 3;",
    "OtherType": "string title = 1; int64 size = 2; Part part = 3;",
    "Repeated": "string title = 1; repeated int32 size = 2; Part part = 3;",
    "Optional": "optional string title = 1; int32 size = 2; Part part = 3;",
    "InOneof": "oneof one { string title = 1; } int32 size = 2; Part part = 3;",
    "Hidden": "string title = 1 [(google.api.field_behavior) = INPUT_ONLY]; int32 size = 2; Part part = 3;",
    "More": "string title = 1; int32 size = 2; Part part = 3; bool old = 4;",
    "OtherPart": "string title = 1; int32 size = 2; WiderPart part = 3;",
}
SAME = ("OtherOrder", "OtherColumn", "Required")
TEXT = """syntax = "proto3";
package look.v1;
import "entresol/options/v1/options.proto";
import "google/api/field_behavior.proto";
message Part { string label = 1; Part inner = 2; }
message WiderPart { string label = 1; int32 width = 2; }
"""


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("look")
    messages = "".join(f"message {name} {{ {fields} }}\n" for name, fields in VARIANTS.items())
    (folder / "look.proto").write_text(TEXT + messages, encoding="utf-8")
    return dict(_revisions(Source(compile_protos(folder)), tuple(VARIANTS)))


def _revisions(source: Source, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        message = source.pool.FindMessageTypeByName(f"look.v1.{name}")
        yield name, revision_of(read_field(source, field) for field in message.fields)


def test_a_revision_is_8_hex_digits(revisions: dict[str, str]) -> None:
    assert all(len(text) == 8 and int(text, 16) >= 0 for text in revisions.values())


@pytest.mark.parametrize("name", SAME)
def test_a_revision_stays_when_the_bytes_do(revisions: dict[str, str], name: str) -> None:
    assert revisions[name] == revisions["Plain"]


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in (*SAME, "Plain")])
def test_a_revision_changes_with_the_bytes(revisions: dict[str, str], name: str) -> None:
    assert revisions[name] != revisions["Plain"]
