"""Compiling protos: imports that no one ships, errors with lines, and nothing left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from entresol.codegen import protos
from entresol.codegen.protos import compile_protos
from entresol.errors import ConfigurationError, SchemaError

IMPORTS = [
    "buf/validate/validate.proto",
    "entresol/options/v1/options.proto",
    "google/api/annotations.proto",
    "google/api/client.proto",
    "google/api/field_info.proto",
    "google/api/resource.proto",
    "google/longrunning/operations.proto",
    "google/protobuf/any.proto",
    "google/protobuf/field_mask.proto",
    "google/rpc/status.proto",
    "google/type/date.proto",
]


def write(folder: Path, text: str, name: str = "note.proto") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f'syntax = "proto3";\npackage note.v1;\n{text}', encoding="utf-8")
    return folder


def names(descriptor_set: bytes) -> list[str]:
    return [file.name for file in FileDescriptorSet.FromString(descriptor_set).file]


def test_the_set_has_every_import_before_the_file(tmp_path: Path) -> None:
    lines = "".join(f'import "{name}";\n' for name in IMPORTS)
    found = names(compile_protos(write(tmp_path, f"{lines}message Note {{ string text = 1; }}")))
    assert set(IMPORTS) <= set(found)
    assert found[-1] == "note.proto"


def test_options_of_others_can_be_used(tmp_path: Path) -> None:
    text = (
        'import "buf/validate/validate.proto";\nimport "google/longrunning/operations.proto";\n'
        "message Note { string text = 1 [(buf.validate.field).string.max_len = 5];"
        " google.longrunning.Operation operation = 2; }"
    )
    assert names(compile_protos(write(tmp_path, text)))[-1] == "note.proto"


def test_the_set_has_the_lines_of_every_element(tmp_path: Path) -> None:
    files = FileDescriptorSet.FromString(compile_protos(write(tmp_path, "message Note {}"))).file
    assert [place.span[0] for place in files[-1].source_code_info.location if place.path == [4, 0]] == [2]


def test_folders_below_are_compiled_too(tmp_path: Path) -> None:
    write(tmp_path, "message Note {}", "a/v1/note.proto")
    write(tmp_path, 'import "a/v1/note.proto";\nmessage Book { Note note = 1; }', "b/v1/book.proto")
    assert names(compile_protos(tmp_path)) == ["a/v1/note.proto", "b/v1/book.proto"]


def test_a_folder_may_have_spaces_in_its_name(tmp_path: Path) -> None:
    assert names(compile_protos(write(tmp_path / "my protos", "message Note {}"))) == ["note.proto"]


def test_other_folders_can_be_included(tmp_path: Path) -> None:
    shared = write(tmp_path / "shared", "message Word {}", "word.proto")
    own = write(tmp_path / "own", 'import "word.proto";\nmessage Note { Word word = 1; }')
    assert names(compile_protos(own, includes=[shared])) == ["word.proto", "note.proto"]


def test_the_current_folder_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "own", "message Note {}")
    write(tmp_path / "elsewhere", "message Other {}")
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = FileDescriptorSet.FromString(compile_protos(Path("../own"))).file[-1]
    assert [message.name for message in found.message_type] == ["Note"]


def test_errors_have_file_and_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        "message Note { Word word = 1; }\nmessage Page { string a = 1; string b = 1; }",
        "a/note.proto",
    )
    with pytest.raises(SchemaError) as caught:
        compile_protos(tmp_path)
    assert [(one.file, one.line, one.rule) for one in caught.value.mistakes] == [
        ("a/note.proto", 3, "protoc"),
        ("a/note.proto", 4, "protoc"),
    ]
    assert 'a/note.proto:3: "Word" is not defined. [protoc]' in str(caught.value)


def test_an_import_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"note\.proto:3: .*nowhere/word\.proto"):
        compile_protos(write(tmp_path, 'import "nowhere/word.proto";'))


def test_a_warning_is_no_mistake(tmp_path: Path) -> None:
    text = 'import "google/protobuf/any.proto";\nmessage Note { Word word = 1; }'
    with pytest.raises(SchemaError) as caught:
        compile_protos(write(tmp_path, text))
    assert [one.line for one in caught.value.mistakes] == [4]


def test_a_ready_set_is_taken_as_it_is(tmp_path: Path) -> None:
    compiled = compile_protos(write(tmp_path, "message Note {}"))
    (tmp_path / "image.binpb").write_bytes(compiled)
    assert compile_protos(tmp_path / "image.binpb") == compiled


@pytest.mark.parametrize("content", [b"\xff\xff", b""])
def test_a_file_that_is_no_set_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image.binpb").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"image\.binpb is .*FileDescriptorSet"):
        compile_protos(tmp_path / "image.binpb")


def test_a_folder_without_protos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no \.proto file"):
        compile_protos(tmp_path)


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"neither a folder of \.proto files nor a descriptor set"):
        compile_protos(tmp_path / "nowhere")


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    compile_protos(write(tmp_path, "message Note {}"))
    assert [path.name for path in tmp_path.iterdir()] == ["note.proto"]


def test_the_compiler_may_not_take_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("protoc", protos.COMPILE_TIMEOUT_S)

    monkeypatch.setattr(protos.subprocess, "run", hang)
    with pytest.raises(ConfigurationError, match="protoc did not end within 60 seconds"):
        compile_protos(write(tmp_path, "message Note {}"))
