"""Model to Python client: messages, names, and a blocking and an asynchronous client of every service."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from entresol.codegen.python_layout import Layout
from entresol.codegen.python_messages import strip, write_messages
from entresol.codegen.python_names import render_names
from entresol.codegen.python_packages import MARK, render_package
from entresol.codegen.python_rpcs import read_rpc
from entresol.codegen.python_services import Service, client_names, render_service
from entresol.codegen.python_types import Types, name_classes
from entresol.errors import ConfigurationError
from entresol.schema.comments import comments_of
from entresol.schema.model import Model, Resource
from entresol.schema.resources import snake
from entresol.schema.source import Source


def generate(model: Model, folder: Path) -> list[Path]:
    """Write the client packages of a model below `folder` and return every file, sorted.

    `stories.v1` becomes the package `entresol_stories.v1`. What was generated before under the same top-level
    name is replaced as a whole, so that nothing remains of protos that are gone. Takes about half a second.

    Raises:
        ConfigurationError: `folder` holds something else under the name of a package.
        SchemaError: a method cannot be called by these clients, or two classes would have one name.
    """
    with TemporaryDirectory(prefix="entresol-client-") as scratch:
        made = Path(scratch)
        _Generation.of(model, made).write()
        packages = sorted(made.iterdir())
        for package in packages:
            _refuse_foreign(folder / package.name)
        for package in packages:
            shutil.rmtree(folder / package.name, ignore_errors=True)
            shutil.copytree(package, folder / package.name)
        return sorted(folder / path.relative_to(made) for path in made.rglob("*") if path.is_file())


def _refuse_foreign(target: Path) -> None:
    roof = target / "__init__.py"
    ours = roof.is_file() and roof.read_text(encoding="utf-8").startswith(MARK)
    if target.exists() and not ours:
        raise ConfigurationError(
            f"{target} was not generated; move it away, or choose another folder",
            metadata={"folder": str(target)},
        )


@dataclass(frozen=True)
class _Generation:
    """One run: what is read, and the empty folder it is written to."""

    model: Model
    source: Source
    layout: Layout
    comments: Mapping[str, str]
    folder: Path

    @classmethod
    def of(cls, model: Model, folder: Path) -> _Generation:
        stripped = strip(model.descriptor_set)
        layout = Layout.of(stripped)
        write_messages(stripped, layout, folder)
        return cls(model, Source(model.descriptor_set), layout, comments_of(model.descriptor_set), folder)

    def write(self) -> None:
        for package, files in self._packages().items():
            exports: dict[str, Sequence[str]] = {
                self.layout.module(file.name): _types(file) for file in files
            }
            exports |= self._write_names(package, files)
            for file in files:
                for service in file.services_by_name.values():
                    exports |= self._write_service(package, service)
            self._write(package, "__init__.py", render_package(package, exports))
        for top in list(self.folder.iterdir()):
            self._write(top.name, "py.typed", "")
            for inner in (top, *(path for path in top.rglob("*") if path.is_dir())):
                self._write_roof(inner)

    def _packages(self) -> dict[str, list[FileDescriptor]]:
        packages: dict[str, list[FileDescriptor]] = {}
        for file in self.source.files:
            if file.name in self.layout.own:
                packages.setdefault(self.layout.package(file.name), []).append(file)
        return packages

    def _write_names(self, package: str, files: Sequence[FileDescriptor]) -> dict[str, Sequence[str]]:
        """Write the names module, if the package has resources; return what it exports."""
        inside = {file.name for file in files}
        resources = [found for found in self.model.resources.values() if _file_of(found) in inside]
        if not resources:
            return {}
        self._write(package, "names.py", render_names(resources))
        return {f"{package}.names": [name for found in resources for name in _names(found)]}

    def _write_service(self, package: str, service: ServiceDescriptor) -> dict[str, Sequence[str]]:
        """Write the module of a service; return what it exports."""
        types = Types(self.source, self.model, self.layout, package)
        known = self.model.services[service.full_name].methods
        rpcs = [
            read_rpc(self.source, method, described, types, self.comments)
            for method, described in zip(service.methods, known, strict=True)
        ]
        found = Service(
            name=service.name,
            file=service.file.name,
            comment=self.comments.get(service.full_name, ""),
            rpcs=tuple(rpcs),
            imports=frozenset(types.imports),
        )
        module = snake(service.name)
        self._write(package, f"{module}.py", render_service(found))
        return {f"{package}.{module}": client_names(found)}

    def _write_roof(self, folder: Path) -> None:
        """Give a folder that only holds packages its `__init__.py`."""
        if not (folder / "__init__.py").exists():
            package = ".".join(folder.relative_to(self.folder).parts)
            (folder / "__init__.py").write_text(render_package(package, {}), encoding="utf-8")

    def _write(self, package: str, name: str, text: str) -> None:
        path = self.folder.joinpath(*package.split("."), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _types(file: FileDescriptor) -> list[str]:
    """Return the messages and enums that a file declares at its top."""
    return [*file.message_types_by_name, *file.enum_types_by_name]


def _file_of(resource: Resource) -> str:
    return str(resource.descriptor.file.name) if resource.descriptor is not None else ""


def _names(resource: Resource) -> list[str]:
    return name_classes(resource.type, len(resource.patterns))
