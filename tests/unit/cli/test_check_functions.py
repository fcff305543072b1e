"""`check` knows the functions: each custom method has one, and each of them a method, or both are in the list."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ENTRESOL = str(Path(sys.executable).parent / "entresol")
SERVICE = "stories.v1.StoryService"


def check(folder: Path, *arguments: str) -> Any:
    """Check in a process of its own, which has imported no functions before."""
    done = subprocess.run(
        [ENTRESOL, "check", "--json", *arguments],
        cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    return tmp_path


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_methods_and_functions_that_belong_together_are_no_mistake(folder: Path) -> None:
    assert check(folder)["ok"] is True


def test_a_misspelt_function_is_told_beside_the_method_that_lacks_one_and_every_other_mistake(
    folder: Path,
) -> None:
    edit(folder / "protos/stories/functions.py", f'"{SERVICE}.VoteStory"', f'"{SERVICE}.VoteStorey"')
    edit(folder / "protos/stories/v1/story.proto", 'get: "/v1/stories"', 'get: "/v1/story"')
    found = {one["element"]: one for one in check(folder)["mistakes"]}
    assert set(found) == {f"{SERVICE}.{name}" for name in ("VoteStory", "VoteStorey", "ListStories")}
    lacking, lonely = found[f"{SERVICE}.VoteStory"], found[f"{SERVICE}.VoteStorey"]
    assert (lacking["rule"], lacking["problem"]) == ("entresol/function", "is declared and has no function")
    assert lacking["remedy"] == f"register one with @entresol.method('{SERVICE}.VoteStory')"
    lines = (folder / lacking["file"]).read_text().splitlines()
    assert "rpc VoteStory(" in lines[lacking["line"] - 1]
    assert lonely["problem"] == "has a function and is declared in no proto"
    assert lonely["remedy"] == f"did you mean '{SERVICE}.VoteStory'?"
    assert "VoteStorey" in (folder / lonely["file"]).read_text().splitlines()[lonely["line"] - 1]


def test_a_function_that_is_like_no_method_is_declared_or_removed(folder: Path) -> None:
    edit(folder / "protos/stories/functions.py", f'"{SERVICE}.VoteStory"', f'"{SERVICE}.ReadStory"')
    (lonely,) = (one for one in check(folder)["mistakes"] if one["element"] == f"{SERVICE}.ReadStory")
    assert lonely["remedy"] == "declare the method, or remove the function"


def test_functions_are_those_that_are_named(folder: Path) -> None:
    (folder / "none.py").write_text("")
    found = check(folder, "--functions", "none.py")["mistakes"]
    assert {one["problem"] for one in found} == {"is declared and has no function"}


def test_a_standard_method_of_a_resource_that_cannot_be_read_lacks_no_function(folder: Path) -> None:
    edit(folder / "protos/stories/v1/vote.proto", 'plural: "votes"', 'plural: "ballots"')
    found = check(folder)["mistakes"]
    assert found
    assert "entresol/function" not in {one["rule"] for one in found}


def refusal(folder: Path, *arguments: str) -> str:
    """Return what a person is told, in a process of its own that is to fail."""
    done = subprocess.run(
        [ENTRESOL, *arguments],
        cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_function_that_cannot_be_called_with_request_and_context_is_a_mistake(folder: Path) -> None:
    edit(
        folder / "protos/stories/functions.py",
        "vote_story(request: Any, context: entresol.Context)",
        "vote_story(request: Any)",
    )
    (mistake,) = check(folder)["mistakes"]
    lines = (folder / mistake["file"]).read_text().splitlines()
    assert f'"{SERVICE}.VoteStory"' in lines[mistake["line"] - 1]
    assert (mistake["rule"], mistake["element"]) == ("entresol/function", f"{SERVICE}.VoteStory")
    assert mistake["problem"] == "takes (request), and is called with (request, context)"
    assert mistake["remedy"] == "give it the parameters (request, context)"
    assert mistake["problem"] in refusal(folder, "serve"), "a server does not start with it either"


POLICY = """
import functools

import entresol


def logged(function):
    @functools.wraps(function)
    async def log(*arguments):
        return await function(*arguments)

    return log
"""


@pytest.mark.parametrize(
    ("parameters", "takes"),
    [("request", "(request)"), ("request, call, more", "(request, call, more)"), ("", "()")],
)
def test_an_authorizer_takes_the_request_and_the_call(folder: Path, parameters: str, takes: str) -> None:
    text = f"{POLICY}\n\n@entresol.authorizer\nasync def allowed({parameters}):\n    return True\n"
    (folder / "protos/functions.py").write_text(text)
    (mistake,) = check(folder)["mistakes"]
    assert (mistake["file"], mistake["element"]) == ("protos/functions.py", "allowed")
    assert mistake["line"] == text[: text.index("@entresol.auth")].count("\n") + 1
    assert mistake["problem"] == f"takes {takes}, and is called with (request, call)"


@pytest.mark.parametrize("parameters", ["request, call", "message, call, *, strict=False", "*all"])
@pytest.mark.parametrize("decorator", ["", "@logged\n"])
def test_an_authorizer_names_its_parameters_as_it_likes(
    folder: Path, parameters: str, decorator: str
) -> None:
    text = f"{POLICY}\n\n@entresol.authorizer\n{decorator}async def allowed({parameters}):\n    return True\n"
    (folder / "protos/functions.py").write_text(text)
    assert check(folder)["ok"] is True


def test_a_class_that_is_registered_as_authorizer_is_told_where_it_stands(folder: Path) -> None:
    text = (
        "import entresol\n\n\n@entresol.authorizer\nclass Rules:\n    def __init__(self, all):\n        ...\n"
    )
    (folder / "protos/functions.py").write_text(text)
    (mistake,) = check(folder)["mistakes"]
    assert (mistake["file"], mistake["line"]) == ("protos/functions.py", 4)
    assert mistake["problem"] == "takes (all), and is called with (request, call)"


def test_of_two_authorizers_both_places_are_told(folder: Path) -> None:
    one = "import entresol\n\n\n@entresol.authorizer\nasync def {}(request, call):\n    return True\n"
    for name in ("first", "second"):
        (folder / "protos" / name).mkdir()
        (folder / "protos" / name / "functions.py").write_text(one.format(name))
    (mistake,) = check(folder)["mistakes"]
    places = "protos/first/functions.py:4 and protos/second/functions.py:4"
    assert mistake["problem"] == f"there are two authorizers, at {places}; keep one"
    assert (mistake["file"], mistake["line"]) == ("protos/second/functions.py", 4)


@pytest.mark.parametrize(
    ("method", "replaces", "problem"),
    [
        ("GetStory", "", "is a standard method, and a function would take its masks"),
        ("GetStory", ", replaces=True", None),
        ("VoteStory", ", replaces=True", "is a custom method: its function replaces nothing"),
    ],
)
def test_a_standard_method_is_replaced_only_on_purpose(
    folder: Path, method: str, replaces: str, problem: str | None
) -> None:
    if method == "VoteStory":
        own = folder / "protos/stories/functions.py"
        own.write_text(own.read_text().replace(f'@entresol.method("{SERVICE}.VoteStory")\n', ""))
    decorator = f'@entresol.method("{SERVICE}.{method}"{replaces})'
    text = f"import entresol\n\n\n{decorator}\nasync def answer(request, context):\n    ...\n"
    (folder / "protos/functions.py").write_text(text)
    problems = [one["problem"] for one in check(folder).get("mistakes", ())]
    assert [found.startswith(problem or "") for found in problems] == ([] if problem is None else [True]), (
        problems
    )


def test_of_two_functions_for_one_method_both_places_are_told(folder: Path) -> None:
    text = f'import entresol\n\n\n@entresol.method("{SERVICE}.VoteStory")\nasync def vote(request, context):\n    ...\n'
    (folder / "protos/functions.py").write_text(text)
    (mistake,) = check(folder)["mistakes"]
    assert (
        "VoteStory has two functions, at protos/functions.py:4 and protos/stories/functions.py:"
        in mistake["problem"]
    )


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("import entresol\nimport nowhere\n", 2, "ModuleNotFoundError: No module named 'nowhere'"),
        ("import entresol\n\ndef lend(:\n", 3, "SyntaxError: invalid syntax"),
        (
            "import entresol\n\n\ndef make():\n    return 1 / 0\n\n\nmake()\n",
            5,
            "ZeroDivisionError: division by zero",
        ),
        ("import sys\n\nsys.exit('no licence')\n", 3, "SystemExit: no licence"),
        ("raise SystemExit\n", 1, "SystemExit"),
        ("import json\n\njson.loads('')\n", 3, "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_file_that_cannot_be_imported_is_a_mistake_beside_every_other(
    folder: Path, text: str, line: int, says: str
) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "lending.py").write_text(text)
    edit(folder / "protos/stories/v1/story.proto", 'get: "/v1/stories"', 'get: "/v1/story"')
    for functions in ("own/lending.py", "own"):
        first, second = check(folder, "--functions", functions)["mistakes"]
        assert (first["file"], first["line"]) == ("own/lending.py", line)
        assert first["problem"] == f"cannot be imported: {says}"
        assert first["rule"] == "entresol/function"
        assert second["element"] == f"{SERVICE}.ListStories", "what it would register is not missed"
    assert f"own/lending.py:{line}: cannot be imported: {says}" in refusal(
        folder, "serve", "--functions", "own/lending.py"
    )


def test_a_mistake_in_what_a_file_imports_is_told_where_it_is(folder: Path) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "lending.py").write_text(
        "import sys\nfrom pathlib import Path\n\nsys.path.append(str(Path(__file__).parent))\nimport beside\n"
    )
    (folder / "own" / "beside.py").write_text("pages = None\npages.count\n")
    (mistake,) = check(folder, "--functions", "own/lending.py")["mistakes"]
    assert (mistake["file"], mistake["line"]) == ("own/beside.py", 2)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.at.all", "nowhere.py", "json.nowhere"])
def test_functions_that_are_nowhere_are_a_wrong_setting(folder: Path, name: str) -> None:
    said = refusal(folder, "check", "--functions", name)
    assert said.startswith("error: ")
    assert said.endswith(": ENTRESOL_FUNCTIONS must name Python files, folders or modules\n")
    assert name in said
