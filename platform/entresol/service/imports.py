"""Import the functions of custom methods; a file or module that cannot be imported is a mistake with its place."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path

from entresol.config import Settings
from entresol.errors import ConfigurationError, Mistake
from entresol.schema.report import Report

RULE = "entresol/function"


def import_functions(settings: Settings, report: Report) -> bool:
    """Import what `settings.functions` names, else every `functions.py` beside the protos; tell whether all could be.

    Raises:
        ConfigurationError: `settings.functions` names what is not there.
    """
    names = list(filter(None, settings.functions.split(",")))
    found: list[Path | str] = [] if names else sorted(Path(settings.protos).rglob("functions.py"))
    for name in names:
        path = Path(name)
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.suffix == ".py" else [name]
    failed = [one for one in found if not _import(one, report)]
    return not failed


def _import(one: Path | str, report: Report) -> bool:
    try:
        if isinstance(one, Path):
            _import_file(one)
        else:
            _import_module(one)
    except ConfigurationError as error:
        if error.metadata.get("setting") == "functions":
            raise
        report.note(Mistake(*_place(error, one), RULE, "", error.message))
    except (Exception, SystemExit) as error:  # whatever the file does when it is run
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        problem = ": ".join(filter(None, ("cannot be imported", type(error).__name__, text)))
        report.note(
            Mistake(*_place(error, one), RULE, "", problem, "none of its functions counts until it can")
        )
    else:
        return True
    return False


def _import_module(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise _nothing(f"there is no module {name}") from error
        raise


def _import_file(file: Path) -> None:
    name = f"entresol_functions_{file.resolve().as_posix().replace('/', '_').removesuffix('.py')}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.exists():
        raise _nothing(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _nothing(problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"{problem}: ENTRESOL_FUNCTIONS must name Python files, folders or modules",
        metadata={"setting": "functions"},
    )


def _place(error: BaseException, one: Path | str) -> tuple[str, int]:
    """Return the line that failed: the innermost that stands beside or below the file that was to be imported."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return os.path.relpath(error.filename), error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    importers = (__file__, importlib.__file__)
    theirs = [
        (frame.filename, frame.lineno or 1)
        for frame in frames
        if frame.filename not in importers and not frame.filename.startswith("<")
    ]
    if not theirs:
        return str(one), 1
    folder = Path(theirs[0][0]).parent
    file, line = next(place for place in reversed(theirs) if Path(place[0]).is_relative_to(folder))
    return os.path.relpath(file), line
