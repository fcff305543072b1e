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


RESOURCE = """\
import "entresol/options/v1/options.proto";
message Note {
  option (entresol.options.v1.resource) = {
    indexes: [{fields: ["text"]}]
%s
  };
  string text = 1;
}"""
FIELD = """\
import "buf/validate/validate.proto";
import "entresol/options/v1/options.proto";
import "google/api/field_behavior.proto";

message Note {
  string text = 1 [
%s
  ];
}"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            RESOURCE % "    cache: {negativ_ttl: {}}",
            "negativ_ttl: is no field of entresol.options.v1.CachePolicy; did you mean negative_ttl?",
        ),
        (
            RESOURCE % "    indexes: [{uniqe: true}]",
            "uniqe: is no field of entresol.options.v1.Index; did you mean unique?",
        ),
        (
            RESOURCE % "    softDelete: {}",
            "softDelete: is no field of entresol.options.v1.ResourceOptions; did you mean soft_delete?",
        ),
        (
            RESOURCE % "    indexes: [{xyz: true}]",
            "xyz: is no field of entresol.options.v1.Index; there are fields, name, unique",
        ),
        (
            RESOURCE % "    consistency: CONSISTENCY_STRNG",
            "CONSISTENCY_STRNG: is no value of consistency; did you mean CONSISTENCY_STRONG?",
        ),
        (
            FIELD % "\n    (google.api.field_behavior) = required",
            "required: is no value of google.api.FieldBehavior; did you mean REQUIRED?",
        ),
        (
            FIELD % "\n    (google.api.field_behaviour) = REQUIRED",
            "(google.api.field_behaviour): there is no such option here; did you mean (google.api.field_behavior)?",
        ),
        (
            FIELD % "\n    (entresol.v1.feild).column = 'x'",
            "(entresol.v1.feild): there is no such option here; did you mean (entresol.options.v1.field)?",
        ),
        (
            FIELD % "\n    (entresol.options.v1.field).colum = 'x'",
            "colum: is no field of entresol.options.v1.FieldOptions; did you mean column?",
        ),
        (
            FIELD % "\n    (buf.validate.field).string.max_lenn = 3",
            "max_lenn: is no field of buf.validate.StringRules; did you mean max_len?",
        ),
        (
            FIELD % "\n    (google.api.resource_reference).type = 'x'",
            '(google.api.resource_reference): is not imported; import "google/api/resource.proto"',
        ),
        (
            FIELD % "\n    (acme.color) = 'red'",
            "(acme.color): there is no such option here; import the proto that declares it",
        ),
    ],
)
def test_a_misspelt_word_of_an_option_is_told_at_its_line_with_the_nearest_one(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_protos(write(tmp_path, text))
    assert not caught.value.is_complete
    heading, mistake, _ = str(caught.value).splitlines()
    assert heading == "1 mistake:"
    line = 7 + text.startswith(FIELD[:30]) * 3
    assert mistake == f"note.proto:{line}: {said} [protoc]"


def test_every_option_with_a_misspelt_word_is_told_and_words_of_own_messages_as_protoc_has_them(
    tmp_path: Path,
) -> None:
    text = """\
import "entresol/options/v1/options.proto";
import "google/protobuf/descriptor.proto";
message Color { string name = 1; }
extend google.protobuf.MessageOptions { Color color = 50000; }
message One { option (entresol.options.v1.resource) = {tabel: "x"}; }
message Two { option (color) = {nam: "x"}; }"""
    with pytest.raises(SchemaError) as caught:
        compile_protos(write(tmp_path, text))
    assert [(one.line, one.element, one.remedy) for one in caught.value.mistakes] == [
        (7, "tabel", "did you mean table?"),
        (8, "nam", ""),
    ]
    assert str(caught.value).endswith("nothing else is checked until the protos compile")


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
