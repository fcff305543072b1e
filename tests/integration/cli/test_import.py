"""`entresol import`: every good row once, every bad row told, whatever happens in between."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Cli

from entresol.errors import ConfigurationError

ENTRESOL = str(Path(sys.executable).parent / "entresol")
USERS = ("--resource", "stories.v1.User")
STORIES = (
    "--resource", "stories.v1.Story", "--create", "stories.v1.User", "--map", "name=stories/{id}",
    "--map", "title=title", "--map", "author=users/{author}", "--map", "score=score", "--map", "post_time=time",
    "--map", "tags=tags", "--map", "kind=kind",
)  # fmt: skip
HEADER = "id,title,author,score,time,tags,kind\n"


def rejects(cli: Cli, name: str = "posts.csv.rejects.csv") -> list[tuple[int, str]]:
    with (cli.folder / name).open(newline="") as file:
        return [(int(row["line"]), row["field"]) for row in csv.DictReader(file)]


def test_a_csv_is_loaded_with_what_its_rows_refer_to(cli: Cli) -> None:
    posts = [
        "1,One,ann,5,2016-08-04T11:52:00Z,a;b,KIND_ASK",
        '2,"Two, and\na half",bob,,1470311520,,',
        "3,Three,ann,-1,,x,1",
    ]
    file = cli.write("posts.csv", HEADER + "\n".join(posts) + "\n")
    facts = cli.json("import", file, *STORIES)
    assert (facts["loaded"], facts["created"], facts["rejected"], facts["begun"]) == (3, 2, 0, 0)
    assert not (cli.folder / facts["rejects"]).exists()
    sql = "SELECT name, title, author, score, extract(epoch FROM post_time)::bigint, tags, kind FROM stories ORDER BY 1"
    assert cli.rows(sql) == [
        ("stories/1", "One", "users/ann", 5, 1470311520, ["a", "b"], 2),
        ("stories/2", "Two, and\na half", "users/bob", 0, 1470311520, [], 0),
        ("stories/3", "Three", "users/ann", -1, None, ["x"], 1),
    ]
    assert cli.rows("SELECT count(*) FROM stories WHERE create_time = update_time AND length(uid) = 36") == [
        (3,)
    ]
    assert cli.rows("SELECT name FROM users WHERE length(uid) = 36 ORDER BY 1") == [
        ("users/ann",),
        ("users/bob",),
    ]


def test_ndjson_is_loaded_by_the_names_of_its_keys(cli: Cli) -> None:
    people = [
        {"name": "users/ann", "display_name": "Ann"},
        {"name": "users/bob", "about": "line\nline", "karma": 7, "ignored": [1]},
    ]
    file = cli.write("users.ndjson", "\n".join(map(json.dumps, people)))
    assert cli.json("import", file, *USERS)["loaded"] == 2
    assert cli.rows("SELECT name, display_name, about, karma FROM users ORDER BY 1") == [
        ("users/ann", "Ann", "", 0),
        ("users/bob", "", "line\nline", 7),
    ]


BAD = [
    (b"2,T,ann,many,,,", 3, "score"),
    (b"3,,ann,1,,,", 4, "title"),
    (b"4,\xff,ann,1,,,", 5, "title"),
    (b"5,T,ann,1,,", 6, ""),
    (b"1,T,ann,1,,,", 7, "name"),  # taken by the row before
    (b"6,T,,1,,,", 8, "author"),
    (b"7,T,a b,1,,,", 9, "author"),
    (b"a/b,T,ann,1,,,", 10, "name"),
    (b",T,ann,1,,,", 11, "name"),
    (b"8,T,ann,1,yesterday,,", 12, "post_time"),
    (b"9,T,ann,1,,,KIND_NONE", 13, "kind"),
    (b"10," + b"x" * 301 + b",ann,1,,,", 14, "title"),
    (b'11,"T" and more,ann,1,,,', 15, ""),
    (b"12,\x00,ann,1,,,", 16, "title"),
    (b"13,T,ann,1,2016-08-04T11:52:00.0000001Z,,", 17, "post_time"),
    (b"14,T,ann,1,," + b";".join([b"t"] * 101) + b",", 18, "tags"),
]


@pytest.mark.parametrize("batch", ["1", "3", "500"])
def test_each_bad_row_is_told_by_line_and_field_and_the_rest_is_loaded(cli: Cli, batch: str) -> None:
    rows = [b"1,One,ann,1,,,", *(row for row, _, _ in BAD), b"99,Last,ann,1,,,"]
    file = cli.write("posts.csv", HEADER.encode() + b"\n".join(rows) + b"\n")
    facts = cli.json("import", file, *STORIES, "--batch-size", batch)
    assert (facts["loaded"], facts["rejected"]) == (2, len(BAD))
    assert rejects(cli) == [(line, field) for _, line, field in BAD]
    assert cli.rows("SELECT name FROM stories ORDER BY 1") == [("stories/1",), ("stories/99",)]
    assert cli.rows("SELECT name FROM users") == [("users/ann",)]


def test_a_row_that_is_rejected_leaves_nothing_that_it_refers_to(cli: Cli) -> None:
    cli.json("import", cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n"), *STORIES)
    file = cli.write("more.csv", HEADER + "1,Taken,nobody,1,,,\n2,Two,bob,1,,,\n")
    facts = cli.json("import", file, *STORIES)
    assert (facts["loaded"], facts["created"], facts["rejected"]) == (1, 1, 1)
    assert cli.rows("SELECT name FROM users ORDER BY 1") == [("users/ann",), ("users/bob",)]


def test_a_missing_reference_or_parent_is_told_with_its_field(cli: Cli) -> None:
    cli.json("import", cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n"), *STORIES)
    comments = [
        {"name": "stories/1/comments/a", "author": "users/ann", "text": "good"},
        {"name": "stories/1/comments/b", "author": "users/nobody", "text": "no author"},
        {"name": "stories/2/comments/c", "author": "users/ann", "text": "no story"},
    ]
    file = cli.write("comments.ndjson", "\n".join(map(json.dumps, comments)))
    facts = cli.json("import", file, "--resource", "stories.v1.Comment")
    assert (facts["loaded"], facts["rejected"]) == (1, 2)
    assert rejects(cli, "comments.ndjson.rejects.csv") == [(2, "author"), (3, "name")]


def test_the_same_file_again_loads_nothing_twice(cli: Cli) -> None:
    file = cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n2,,ann,1,,,\n")
    first, second = cli.json("import", file, *STORIES), cli.json("import", file, *STORIES)
    assert (first["loaded"], first["rejected"]) == (1, 1)
    assert (second["loaded"], second["rejected"], second["begun"]) == (0, 1, 3)
    assert rejects(cli) == [(3, "title")]
    cli.rows("DELETE FROM stories RETURNING name")
    assert cli.json("import", file, *STORIES, "--again")["loaded"] == 1
    assert cli.json("import", file, *STORIES, "--again")["rejected"] == 2


def test_another_file_or_mapping_is_another_import(cli: Cli) -> None:
    cli.json("import", cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n"), *STORIES)
    cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n2,Two,ann,1,,,\n")
    facts = cli.json("import", "posts.csv", *STORIES)
    assert (facts["loaded"], facts["rejected"], facts["begun"]) == (1, 1, 0)
    mapping = ["--resource", "stories.v1.User", "--map", "name=users/u{id}", "--map", "about=title"]
    assert cli.json("import", "posts.csv", *mapping)["loaded"] == 2


def test_an_import_that_is_killed_again_and_again_loads_every_row_once(cli: Cli) -> None:
    count = 1500
    rows = [f"{n},{'' if n % 100 == 50 else 'T'},a{n % 300},{n},,," for n in range(count)]
    file = cli.write("posts.csv", HEADER + "\n".join(rows) + "\n")
    good = [n for n in range(count) if n % 100 != 50]
    command = [ENTRESOL, "import", file, *STORIES, "--batch-size", "20", "--json"]
    reached = 0
    for _ in range(2):
        reached = kill_when_it_has_advanced(cli, command, reached)
        names = {int(name.rpartition("/")[2]) for (name,) in cli.rows("SELECT name FROM stories")}
        # Line 2 is row 0: all that is good up to the line reached is in, and nothing beyond it.
        assert names == {n for n in good if n + 2 <= reached}
    assert 2 < reached < count + 1
    done = subprocess.run(
        command, cwd=cli.folder, env=environment(cli), capture_output=True, timeout=60, check=True
    )
    facts = json.loads(done.stdout)
    assert facts["begun"] == reached
    assert facts["loaded"] == len([n for n in good if n + 2 > reached])
    assert cli.rows("SELECT count(*), count(DISTINCT name) FROM stories") == [(len(good), len(good))]
    assert cli.rows("SELECT count(*) FROM users") == [(len({n % 300 for n in good}),)]
    assert rejects(cli) == [(n + 2, "title") for n in range(50, count, 100)]
    assert facts["rejected"] == count // 100


def environment(cli: Cli) -> dict[str, str]:
    return {**os.environ, **cli.environment}


def kill_when_it_has_advanced(cli: Cli, command: list[str], reached: int) -> int:
    """Start the import, kill it once it is beyond the line `reached`, and return the line it committed last."""
    process = subprocess.Popen(command, cwd=cli.folder, env=environment(cli), stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 60
    try:
        while line_of(cli) <= reached:
            assert process.poll() is None, "the import ended before it was killed"
            assert time.monotonic() < deadline_s
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    # What the killed process had sent may still be committed; its session ends with its connection.
    while cli.rows(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name <> ''"
    ):
        assert time.monotonic() < deadline_s
    return line_of(cli)


def line_of(cli: Cli) -> int:
    rows = cli.rows("SELECT line FROM entresol.imports")
    return int(rows[0][0]) if rows else 0


def test_what_is_wrong_with_the_file_is_found_before_anything_is_loaded(cli: Cli) -> None:
    file = cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n" * 3 + '2,"open,ann,1,,,\n3,T,ann,1,,,\n')
    error = cli.run("import", file, *STORIES, "--batch-size", "1", fails=True).exception
    assert isinstance(error, ConfigurationError)
    assert error.message.startswith("posts.csv:5: a quote is opened and never closed")
    assert cli.rows("SELECT count(*) FROM stories") == [(0,)]
    assert "holds no rows" in str(cli.run("import", cli.write("empty.csv", ""), *USERS, fails=True).exception)


def test_a_mapping_that_cannot_be_is_one_sentence(cli: Cli) -> None:
    file = cli.write("posts.csv", HEADER)
    wrong = {
        ("--resource", "stories.v1.Nothing"): "the resources are stories.v1.Click, stories.v1.Comment",
        ("--resource", "stories.v1.Story", "--map", "nothing=id"): "nothing is not a field to import",
        (*STORIES, "--map", "url=link"): "posts.csv has no column link; it has id, title",
        (*USERS, "--map", "about=title"): "nothing gives `name`: add --map name=users/{user}",
        ("--resource", "stories.v1.Comment", "--map", "name=id"): (
            "nothing gives text, which every record needs: add --map text=COLUMN"
        ),
        (*STORIES, "--create", "stories.v1.Comment"): "a comment needs author, text; import it first",
        (*STORIES, "--rejects", "nowhere/r.csv"): "cannot be written",
    }
    for arguments, says in wrong.items():
        assert says in str(cli.run("import", file, *arguments, fails=True).exception)


def test_a_large_cell_is_rejected_by_its_field_and_a_large_row_is_loaded(cli: Cli) -> None:
    file = cli.write("users.csv", f"name,about\nusers/a,{'x' * 1_000_000}\nusers/b,{'x' * 4096}\n")
    facts = cli.json("import", file, *USERS)
    assert (facts["loaded"], facts["rejected"]) == (1, 1)
    assert rejects(cli, "users.csv.rejects.csv") == [(2, "about")]
    assert (cli.folder / "users.csv.rejects.csv").stat().st_size < 1000


def test_a_file_from_elsewhere_has_its_mark_and_its_ends_of_lines(cli: Cli) -> None:
    file = cli.write("users.csv", b"\xef\xbb\xbfname,about\r\nusers/a,\xc3\xa9\r\nusers/b,x\r\n")
    assert cli.json("import", file, *USERS)["loaded"] == 2
    assert cli.rows("SELECT about FROM users ORDER BY name") == [("é",), ("x",)]


def test_without_json_a_person_reads_what_happened_and_where_the_rejects_are(cli: Cli) -> None:
    file = cli.write("posts.csv", HEADER + "1,One,ann,1,,,\n2,,ann,1,,,\n")
    lines = cli.run("import", file, *STORIES, "--rejects", "bad.csv").stdout.splitlines()
    assert lines[0].startswith("1 loaded, 1 referred to created, 1 rejected in ")
    assert lines[1] == "rejects: bad.csv"
    again: Any = cli.run("import", file, *STORIES, "--rejects", "bad.csv").stdout
    assert "went on after line 3" in again


def test_fields_without_a_map_come_from_columns_of_their_names(cli: Cli) -> None:
    file = cli.write("named.csv", "id,display_name\nann,Ann\n")
    assert (
        cli.json("import", file, "--resource", "stories.v1.User", "--map", "name=users/{id}")["loaded"] == 1
    )
    assert cli.rows("SELECT name, display_name FROM users") == [("users/ann", "Ann")]


def test_an_import_that_loads_nothing_fails(cli: Cli) -> None:
    file = cli.write("bad.csv", HEADER + "1,,ann,5,,,\n")
    assert "1 rejected" in cli.run("import", file, *STORIES, fails=True).output
