"""The Python client's generator: its output is what the protos say, and what is committed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from entresol.codegen.protos import compile_protos
from entresol.codegen.python_client import generate
from entresol.errors import ConfigurationError, SchemaError
from entresol.schema.load import load

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "clients" / "python" / "src" / "gen"
PROTOS = Path(__file__).parent / "protos"

STREAMING = """
syntax = "proto3";
package pond.v1;
import "google/api/annotations.proto";
service PondService {
  rpc Pour(stream PourRequest) returns (stream PourResponse);
}
message PourRequest {}
message PourResponse {}
"""
TWINS = """
syntax = "proto3";
package pond.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
service PondService {
  rpc Fill(FillRequest) returns (FillResponse) {
    option (google.api.http) = {post: "/v1/ponds:fill" body: "*"};
  }
}
message PondServiceClient {}
message FillRequest {}
message FillResponse {}
"""


def texts(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def generated(protos: Path, folder: Path) -> dict[str, str]:
    written = generate(load(compile_protos(protos)), folder)
    assert [str(path.relative_to(folder)) for path in written] == sorted(texts(folder))
    return texts(folder)


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return generated(PROTOS, tmp_path_factory.mktemp("garden"))


@pytest.fixture(scope="module")
def plots(garden: dict[str, str]) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the methods of the two clients by class and name."""
    tree = ast.parse(garden["entresol_garden/v1/plot_service.py"])
    return {
        f"{item.name}.{method.name}": method
        for item in tree.body
        if isinstance(item, ast.ClassDef)
        for method in item.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def annotation(method: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> str:
    arguments = [*method.args.args, *method.args.kwonlyargs]
    return next(ast.unparse(item.annotation) for item in arguments if item.arg == name and item.annotation)


def pond(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "protos"
    (folder / "pond/v1").mkdir(parents=True)
    (folder / "pond/v1/pond.proto").write_text(text)
    return folder


def test_the_committed_clients_are_what_the_protos_generate(tmp_path: Path) -> None:
    fresh, committed = generated(ROOT / "protos", tmp_path), texts(COMMITTED)
    assert sorted(fresh) == sorted(committed)
    different = [name for name, text in fresh.items() if committed[name] != text]
    assert different == [], "regenerate: entresol generate python --out clients/python/src/gen"


def test_every_module_is_valid_python_of_the_width_of_the_house(garden: dict[str, str]) -> None:
    for name, text in garden.items():
        ast.parse(text, name)
        if "_pb2" not in name:
            assert max(map(len, text.splitlines() or [""])) <= 110, name


def test_messages_know_nothing_of_custom_options() -> None:
    from entresol_stories.v1 import story_pb2

    file = FileDescriptorProto()
    story_pb2.DESCRIPTOR.CopyToProto(file)
    foreign = [name for name in file.dependency if not name.startswith("google/protobuf/")]
    assert foreign == ["entresol_stories/v1/vote.proto"]
    assert not file.message_type[0].HasField("options")
    assert not any(field.HasField("options") for message in file.message_type for field in message.field)
    # Options of protobuf itself stay.
    assert file.service[0].method[0].options.idempotency_level == 1
    assert story_pb2.Story.DESCRIPTOR.full_name == "stories.v1.Story"


def test_a_signature_gives_arguments_their_places(plots: dict[str, ast.FunctionDef]) -> None:
    method = plots["PlotServiceClient.get_plot"]
    assert [item.arg for item in method.args.args] == ["self", "name"]
    assert annotation(method, "name") == "str | names.PlotName | names.PlotName2 | plot_pb2.GetPlotRequest"


def test_without_a_signature_required_fields_have_places(plots: dict[str, ast.FunctionDef]) -> None:
    assert [item.arg for item in plots["PlotServiceClient.import_"].args.args] == ["self", "name"]
    assert [item.arg for item in plots["PlotServiceClient.watch_plots"].args.args] == ["self", "request"]


def test_awkward_names_get_an_underscore(plots: dict[str, ast.FunctionDef]) -> None:
    method = plots["PlotServiceClient.import_"]
    assert [item.arg for item in method.args.kwonlyargs][:3] == ["from_", "metadata_", "options_"]
    assert "**{'from': from_}" in ast.unparse(method)
    assert "metadata=metadata_" in ast.unparse(method)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("metadata_", "Mapping[str, int] | None"),
        ("options_", "Sequence[entresol_garden.shapes.v1.shape_pb2.Outline | str] | None"),
        ("picture", "bytes | None"),
        ("patience", "google.protobuf.duration_pb2.Duration | datetime.timedelta | None"),
        ("start_time", "google.protobuf.timestamp_pb2.Timestamp | datetime.datetime | None"),
        ("sizes", "Sequence[entresol_garden.shapes.v1.shape_pb2.Size] | None"),
    ],
)
def test_arguments_are_typed(plots: dict[str, ast.FunctionDef], name: str, expected: str) -> None:
    assert annotation(plots["PlotServiceClient.import_"], name) == expected


def test_what_an_rpc_returns_depends_on_its_kind(plots: dict[str, ast.FunctionDef]) -> None:
    returns = {name: ast.unparse(method.returns) for name, method in plots.items() if method.returns}
    assert returns["PlotServiceClient.get_plot"] == "plot_pb2.Plot"
    assert returns["PlotServiceClient.import_"] == "None"
    assert returns["PlotServiceClient.watch_plots"] == "Iterator[plot_pb2.WatchPlotsResponse]"
    assert returns["AsyncPlotServiceClient.watch_plots"] == "AsyncIterator[plot_pb2.WatchPlotsResponse]"


def test_both_clients_have_the_same_methods(plots: dict[str, ast.FunctionDef]) -> None:
    names = [name.rpartition(".")[2] for name in plots]
    assert names[: len(names) // 2] == names[len(names) // 2 :]
    for name in names[: len(names) // 2]:
        blocking, asynchronous = plots[f"PlotServiceClient.{name}"], plots[f"AsyncPlotServiceClient.{name}"]
        assert ast.unparse(blocking.args) == ast.unparse(asynchronous.args)
        assert ast.get_docstring(blocking) == ast.get_docstring(asynchronous)


def test_comments_of_the_protos_are_the_documentation(plots: dict[str, ast.FunctionDef]) -> None:
    text = ast.get_docstring(plots["PlotServiceClient.import_"]) or ""
    assert text.startswith('Takes plants from elsewhere, "quoted" and with a back\\slash.')
    assert "picture: What a picture shows." in text


def test_deprecated_methods_warn(plots: dict[str, ast.FunctionDef]) -> None:
    assert "DeprecationWarning" in ast.unparse(plots["PlotServiceClient.rake_plot"])
    assert "DeprecationWarning" not in ast.unparse(plots["PlotServiceClient.get_plot"])


def test_each_pattern_has_a_name_class(garden: dict[str, str]) -> None:
    text = garden["entresol_garden/v1/names.py"]
    assert (
        'class PlotName2(runtime.Name):\n    """The name of a Plot: `towns/{class}/plots/{plot}`."""' in text
    )
    assert "    class_: str\n    plot: str\n" in text


def test_generating_again_removes_what_the_protos_no_longer_have(tmp_path: Path) -> None:
    generated(PROTOS, tmp_path)
    (tmp_path / "entresol_garden/v1/gone_pb2.py").write_text("")
    assert "entresol_garden/v1/gone_pb2.py" not in generated(PROTOS, tmp_path)


def test_a_folder_that_was_not_generated_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "entresol_garden").mkdir()
    (tmp_path / "entresol_garden/mine.py").write_text("")
    with pytest.raises(ConfigurationError, match="entresol_garden was not generated; move it away"):
        generate(load(compile_protos(PROTOS)), tmp_path)
    assert texts(tmp_path) == {"entresol_garden/mine.py": ""}


def test_methods_whose_callers_stream_are_refused_with_their_place(tmp_path: Path) -> None:
    model = load(compile_protos(pond(tmp_path, STREAMING)))
    with pytest.raises(
        SchemaError, match=r"pond/v1/pond.proto:6: pond.v1.PondService.Pour: the client streams"
    ):
        generate(model, tmp_path / "out")


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    model = load(compile_protos(pond(tmp_path, TWINS)))
    with pytest.raises(
        SchemaError, match=r"PondServiceClient: is the name of a class in .*; rename the message"
    ):
        generate(model, tmp_path / "out")
