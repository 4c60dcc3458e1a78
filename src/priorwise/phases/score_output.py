"""What `score` may write over, and how it knows a file of its own again."""

import os
from dataclasses import replace
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.phases.desk import Desk
from priorwise.spectra.score.partial import partial_folder
from priorwise.spectra.score.sources import Sources
from priorwise.tracking.fingerprint import file_sha256

#: tag with the digest of the file written, by which the file is known again
OUT_SHA256 = "out.sha256"


def without_parts(sources: Sources, out: Path, inputs: str) -> Sources:
    """Leave out what a stopped scoring into `out` left in its folder of parts.

    Raises
    ------
    BadInput
        If nothing else is to be scored.
    """
    folder = partial_folder(Path(os.path.abspath(out)))
    found = tuple(
        source
        for source in sources.found
        if source.remote is not None or folder not in Path(os.path.abspath(source.address)).parents
    )
    if not found:
        raise BadInput(f"inputs={inputs}: nothing to score there but what lies in {folder}")
    return replace(sources, found=found)


def check_out(out: Path, sources: Sources) -> None:
    """Refuse an output that is an input, or lies in one."""
    try:
        here = out.resolve()
        out.exists()
    except OSError as error:
        raise BadInput(f"out: {out} cannot be written ({error.strerror})") from error
    for source in sources.found:
        if source.remote is not None or "://" in source.address:
            continue
        place = Path(source.address).resolve()
        if here == place or place in here.parents:
            raise BadInput(f"out: {out} is one of the inputs, or lies in one (choose another file)")
        if out.exists() and out.samefile(place):
            raise BadInput(f"out: {out} is the same file as input {source.address}")


def refuse_other_work(out: Path, work: str, desk: Desk) -> str:
    """Refuse to write over a file that this very work did not write; the run that wrote it."""
    if not out.exists():
        return ""
    if out.is_file():
        digest = file_sha256(out)
        for facts in desk.track.history.of_phase("score"):
            if facts.tags.get("fingerprint") == work and facts.tags.get(OUT_SHA256) == digest:
                return facts.run_id
    raise BadInput(f"out: {out} is there already (overwrite=true replaces it)")
