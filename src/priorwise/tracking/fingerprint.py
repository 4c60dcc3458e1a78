"""What makes two runs the same work: source, pins, effective config, data, upstream work."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from priorwise.durable import file_sha256 as file_sha256

PROJECT_ROOT = Path(__file__).resolve().parents[3]
HASH_CHARS = 32

#: keys that say where or how fast, not what
NOT_FINGERPRINTED = frozenset(
    {
        *("config", "data", "data_val", "test_1", "test_2", "test_3", "out"),
        *("num_workers", "devices", "num_nodes", "strategy"),
    }
    | {"resume", "bce_run", "prior_pos", "prior_neg", "override", "init_from", "model"}
    | {"log_every_n_steps", "allow_change"}
)


@cache
def source_digest() -> str:
    """Digest of everything that computes: the package, the entry scripts, the pins."""
    files = sorted(
        [
            *(PROJECT_ROOT / "src").rglob("*.py"),
            *(PROJECT_ROOT / "entry_points").glob("*.py"),
            *(PROJECT_ROOT / name for name in ("conda.yaml", "MLproject")),
        ]
    )
    whole = hashlib.sha256()
    for path in files:
        if path.is_file():
            whole.update(str(path.relative_to(PROJECT_ROOT)).encode())
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:HASH_CHARS]


def git_dirty() -> str:
    """'true' or 'false' for a checkout, 'unknown' without git."""
    try:
        answer = subprocess.run(
            ["git", "status", "--porcelain"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return str(bool(answer.stdout.strip())).lower()


def fingerprint(
    phase: str,
    config: Mapping[str, object],
    data_digests: Iterable[str],
    upstream: Mapping[str, str],
) -> str:
    """Hash of all that decides a phase's result.

    Parameters
    ----------
    phase : str
        Name of the phase.
    config : mapping
        Effective configuration; keys that only say where or how fast are left out.
    data_digests : iterable of str
        Content digests of the tables read, in a fixed order.
    upstream : mapping
        Role -> fingerprint of each run (or checkpoint) this one builds on.
    """
    what = {
        "phase": phase,
        "source": source_digest(),
        "config": {k: v for k, v in sorted(config.items()) if k not in NOT_FINGERPRINTED},
        "data": list(data_digests),
        "upstream": dict(sorted(upstream.items())),
    }
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARS]
