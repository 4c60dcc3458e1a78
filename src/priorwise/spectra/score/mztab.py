"""Lines as mzTab 1.0.0, small-molecule section: one SML row for every MS2 scan.

Format: Griss et al. 2014, Mol Cell Proteomics 13:2765. mzTab has no place for "not identified, but
worth identifying", so the score of the one search engine is that probability, and what the format
has no column for stands in `opt_global_` columns.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from priorwise import __version__
from priorwise.spectra.score.part import one_line, read_parts

SCORE = "[, , probability that the MS2 scan is identifiable, ]"
COLUMNS = (
    *("identifier", "chemical_formula", "smiles", "inchi_key", "description"),
    *("exp_mass_to_charge", "calc_mass_to_charge", "charge", "retention_time"),
    *("taxid", "species", "database", "database_version", "spectra_ref", "search_engine"),
    *("best_search_engine_score[1]", "modifications"),
    *("opt_global_polarity", "opt_global_identifiable", "opt_global_reason", "opt_global_usi"),
)


def write_mztab(target: Path, parts: list[Path]) -> None:
    """Write the lines as mzTab."""
    runs: dict[str, int] = {}
    for row in _rows(parts, ["file"]):
        runs.setdefault(row["file"], len(runs) + 1)
    engine = f"[, , priorwise, {__version__}]"
    with target.open("w", encoding="utf-8", newline="") as file:
        for name, value in _metadata(runs, engine):
            file.write(f"MTD\t{name}\t{value}\n")
        file.write("\nSMH\t" + "\t".join(COLUMNS) + "\n")
        for row in _rows(parts, None):
            cells = {
                "exp_mass_to_charge": row["precursor_mz"],
                "spectra_ref": f"ms_run[{runs[row['file']]}]:scan={row['scan']}",
                "search_engine": engine,
                "best_search_engine_score[1]": row["probability"],
                "opt_global_polarity": row["polarity"],
                "opt_global_identifiable": row["identifiable"],
                "opt_global_reason": row["reason"],
                "opt_global_usi": row["usi"],
            }
            file.write("SML\t" + "\t".join(_cell(cells.get(name)) for name in COLUMNS) + "\n")


def _metadata(runs: dict[str, int], engine: str) -> Iterator[tuple[str, str]]:
    yield "mzTab-version", "1.0.0"
    yield "mzTab-mode", "Summary"
    yield "mzTab-type", "Identification"
    yield "description", "probability of each MS2 scan to be identifiable"
    yield "software[1]", engine
    yield "smallmolecule_search_engine_score[1]", SCORE
    yield "fixed_mod[1]", "[MS, MS:1002453, No fixed modifications searched, ]"
    yield "variable_mod[1]", "[MS, MS:1002454, No variable modifications searched, ]"
    for file, number in runs.items():
        yield f"ms_run[{number}]-location", location(file)
        yield (
            f"ms_run[{number}]-id_format",
            "[MS, MS:1000776, scan number only nativeID format, ]",
        )


def location(file: str) -> str:
    """A file as an address without blanks, tabs or line breaks."""
    scheme, separator, rest = file.partition("://")
    if separator and scheme.isalnum():
        return f"{scheme}://{quote(rest)}"
    return f"file://{quote(str(Path(file).absolute()))}"


def _rows(parts: list[Path], columns: list[str] | None) -> Iterator[dict[str, Any]]:
    for batch in read_parts(parts):
        yield from (batch if columns is None else batch.select(columns)).to_pylist()


def _cell(value: Any) -> str:
    """A cell as mzTab has it: `null` for nothing, 1 and 0 for booleans, no control characters."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "null"
    return str(int(value)) if isinstance(value, bool) else one_line(str(value))
