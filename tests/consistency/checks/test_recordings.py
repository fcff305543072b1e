"""Histories as others record them are read right, and a verdict that differs is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.consistency.checks.__main__ import main
from tests.consistency.checks.linearizability import Call
from tests.consistency.checks.recordings import read_log, read_maps

LOG = """\
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 1   :invoke :read   nil
INFO  jepsen.util - 1   :ok     :read   nil
INFO  jepsen.util - 1\t:invoke\t:cas\t[3 4]
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:fail\t:cas\t[3 4]
INFO  jepsen.util - 2\t:fail\t:read\t:timed-out
INFO  jepsen.util - 0\t:info\t:write\t:timed-out
INFO  jepsen.util - 3\t:invoke\t:write\t5
"""
MAPS = """\
{:process 0, :type :invoke, :f :append, :key "4", :value "x 0 y"}
{:process 1, :type :invoke, :f :get, :key "4", :value nil}
{:process 1, :type :ok, :f :get, :key "4", :value "x 0 y"}
{:process 0, :type :ok, :f :append, :key "4", :value "x 0 y"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jepsen").mkdir()
    (tmp_path / "kv").mkdir()
    (tmp_path / "jepsen" / "one.log").write_text(LOG)
    (tmp_path / "kv" / "c01-ok.txt").write_text(MAPS)
    (tmp_path / "kv" / "c01-bad.txt").write_text(
        MAPS.replace('"x 0 y"}\n{:process 0', '"x 9 y"}\n{:process 0')
    )
    (tmp_path / "verdicts.csv").write_text("log,linearizable\none.log,true\n")
    return tmp_path


def test_a_log_of_a_register_is_read_with_what_never_ended_as_unknown() -> None:
    assert read_log(LOG) == (
        Call("", "read", None, None, 1, 2),
        Call("", "compare_and_set", (3, 4), False, 3, 5),
        Call("", "write", 3, None, 0, None),
        Call("", "write", 5, None, 8, None),
    )


def test_a_key_value_history_is_read() -> None:
    assert read_maps(MAPS) == (
        Call("4", "get", None, "x 0 y", 1, 2),
        Call("4", "append", "x 0 y", "x 0 y", 0, 3),
    )


def test_a_line_of_another_format_is_named() -> None:
    with pytest.raises(ValueError, match="line 1 is no event"):
        read_log("INFO nothing")


def test_known_verdicts_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.endswith("3 of 3 histories have the verdict that is known\n")


def test_one_other_verdict_is_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "verdicts.csv").write_text("log,linearizable\none.log,false\n")
    assert main([str(folder)]) == 1
    assert "FAIL one.log" in capsys.readouterr().out


def test_a_folder_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
