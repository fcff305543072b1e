"""Lint a folder of protos with buf, on the compiled set, so that nothing is fetched from anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from entresol.codegen.protos import compile_protos, proto_files
from entresol.errors import ConfigurationError, Mistake

LINT_TIMEOUT_S = 60.0
_FOUND_SOMETHING = 100
# For a folder without a buf.yaml. AIP-131 to AIP-135 want what the two exceptions forbid.
_DEFAULT_CONFIG = json.dumps(
    {
        "version": "v2",
        "lint": {
            "use": ["STANDARD", "COMMENTS"],
            "except": ["RPC_RESPONSE_STANDARD_NAME", "RPC_REQUEST_RESPONSE_UNIQUE"],
        },
    }
)


def lint(folder: Path, *, includes: Sequence[Path] = ()) -> tuple[Mistake, ...]:
    """Return what `buf lint` finds in the folder's own protos, by the rules of its `buf.yaml` if it has one.

    Raises:
        SchemaError: the protos do not compile.
        ConfigurationError: buf is not installed, or its configuration cannot be read.
    """
    image = compile_protos(folder, includes=includes)
    config = folder / "buf.yaml"
    # Imports are in the image too; only what lies in the folder is linted.
    own = sorted({file.parts[0] for file in proto_files(folder)})
    with tempfile.NamedTemporaryFile(suffix=".binpb") as file:
        file.write(image)
        file.flush()
        command = [_buf(), "lint", f"{file.name}#format=binpb", "--error-format", "json"]
        command += ["--config", str(config.resolve()) if config.is_file() else _DEFAULT_CONFIG]
        command += [argument for path in own for argument in ("--path", path)]
        return _mistakes(_run(command, folder))


def _buf() -> str:
    """Return the binary: the one beside our interpreter (package buf-bin), else the one on the path."""
    found = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if found is None:
        raise ConfigurationError("buf is not installed: pip install buf-bin")
    return found


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program and our own file
            command, cwd=folder, capture_output=True, text=True, timeout=LINT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"buf lint did not end within {LINT_TIMEOUT_S:g} seconds") from error
    if done.returncode not in (0, _FOUND_SOMETHING):
        raise ConfigurationError(f"buf lint cannot run: {done.stderr.strip()}")
    return done.stdout


def _mistakes(output: str) -> tuple[Mistake, ...]:
    found = (json.loads(line) for line in output.splitlines() if line)
    return tuple(
        Mistake(one.get("path", ""), one.get("start_line", 1), one["type"], "", one["message"])
        for one in found
    )
