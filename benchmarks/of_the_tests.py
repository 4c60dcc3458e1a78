"""Makes the helpers of the tests importable; import it before `tests`.

A dependency installs a package called `tests`, which Python would find first.
"""

import sys
from pathlib import Path
from types import ModuleType

if "tests.pipelines" not in sys.modules:
    _tests = ModuleType("tests")
    _tests.__path__ = [str(Path(__file__).resolve().parents[1] / "tests")]
    sys.modules["tests"] = _tests
