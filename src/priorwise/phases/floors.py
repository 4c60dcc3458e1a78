"""The oldest versions that are safe to run: below them lie known holes, so nothing starts."""

import re
from importlib.metadata import PackageNotFoundError, version

from priorwise.errors import BadInput

#: package -> oldest version, and what an older one lets happen
FLOORS = {
    "mlflow": ("3.17.0", "its server and its loading of models run foreign code"),
    "torch": ("2.6.0", "a checkpoint runs code despite weights_only=True, CVE-2025-32434"),
    "lightning": ("2.6.6", "a checkpoint chooses which classes are made"),
}


def check_floors() -> None:
    """Refuse an environment with a package below its floor; reads metadata, imports nothing.

    Raises
    ------
    BadInput
        Naming the package, the version found and the one expected.
    """
    for package, (floor, why) in FLOORS.items():
        try:
            found = str(version(package))
        except PackageNotFoundError:
            found = "none"
        if _release(found) < _release(floor):
            raise BadInput(
                f"{package}: version {found} (expected {floor} or later, since below it {why}); "
                "install the versions of conda.yaml"
            )


def _release(text: str) -> tuple[int, ...]:
    """(2, 13, 0) of "2.13.0+cpu"; () of what is no version."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
