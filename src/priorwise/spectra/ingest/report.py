"""What an ingest did: counts per file and table, statistics, and one-line warnings."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from priorwise.spectra.ingest.inputs import Assignment, RunFiles, run_stem
from priorwise.spectra.ingest.library import LibraryCounts
from priorwise.spectra.ingest.pairs import PairCounts
from priorwise.spectra.ingest.reasons import WIDEST_WINDOW
from priorwise.spectra.ingest.spool import Spool
from priorwise.spectra.settings import SETTING_NAMES, SettingsStats


@dataclass(frozen=True)
class FileReport:
    """What one run gave.

    Parameters
    ----------
    path, dataset_id, table : str
        The file, its dataset, and the table its rows went to.
    counts : PairCounts
        Scans, rows and what was left out.
    """

    path: str
    dataset_id: str
    table: str
    counts: PairCounts


@dataclass(frozen=True)
class TableReport:
    """What one table holds: rows, labelled rows, and rows that lack each of the 18 settings."""

    rows: int
    labelled: int
    missing: dict[str, int]


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Parameters
    ----------
    files : tuple of FileReport
        In reading order.
    tables : dict of str to TableReport
        By table, relative to the output folder ("train_data", "test_1/test_data").
    stats : SettingsStats
        Used for the z-scores.
    library : LibraryCounts or None
        Entries of the library; None if there was none.
    blanks, ignored : tuple of str
        Files left out because of "blank" in their name, and files of another kind.
    warnings : tuple of str
        One line each, for the log.
    """

    files: tuple[FileReport, ...]
    tables: dict[str, TableReport]
    stats: SettingsStats
    library: LibraryCounts | None
    blanks: tuple[str, ...]
    ignored: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> str:
        """Serialise the report as JSON text."""
        return json.dumps(asdict(self), indent=1)


def table_report(spool: Spool) -> TableReport:
    """Sum up a finished spool."""
    missing = dict(zip(SETTING_NAMES, spool.n_missing.tolist(), strict=True))
    return TableReport(spool.n_rows, spool.n_labelled, missing)


def warnings_of(
    runs: RunFiles,
    assignment: Assignment,
    files: list[FileReport],
    spools: dict[str, Spool],
    stats: SettingsStats,
    has_library: bool,
    leftovers: list[str],
) -> tuple[str, ...]:
    """List what a user should know, a line each."""
    lines = []
    if not has_library:
        lines.append("no library: every row is unlabelled (label 0)")
    if stats.source != "train_data":
        lines.append("no row went to train_data: the z-scores use the statistics of all rows")
    if runs.blanks:
        lines.append(f"{len(runs.blanks)} run(s) with 'blank' in the name left out")
    if runs.ignored:
        names = ", ".join(sorted(Path(path).name for path in runs.ignored)[:5])
        lines.append(
            f"{len(runs.ignored)} file(s) are neither mzML nor mzXML and were ignored: {names}"
        )
    lines += [f"{split!r} in the split file matches no input" for split in assignment.unused]
    for table in sorted(set(assignment.tables) - set(spools)):
        lines.append(f"{table}: no row came of its runs, so there is no such table")
    homes: dict[str, set[str]] = {}
    stems: dict[tuple[str, str], list[str]] = {}
    for file in files:
        homes.setdefault(file.dataset_id, set()).add(file.table)
        stems.setdefault((file.dataset_id, run_stem(Path(file.path))), []).append(file.path)
        counts = file.counts
        if counts.rows == 0:
            lines.append(f"{file.path}: no row ({counts.ms1} MS1, {counts.ms2} MS2 scans)")
        if counts.bad_rows:
            lines.append(f"{file.path}: {counts.bad_rows} bad row(s) dropped")
        if counts.numbered_by_position:
            lines.append(f"{file.path}: scan ids have no number; the position in the file is used")
        if counts.partner_of_other_polarity:
            lines.append(
                f"{file.path}: {counts.partner_of_other_polarity} row(s) pair an MS2 with an MS1 "
                "of the other polarity"
            )
        if counts.partner_in_profile_mode:
            lines.append(
                f"{file.path}: {counts.partner_in_profile_mode} row(s) have an MS1 in profile mode;"
                " centroid the run first, `score` refuses such scans"
            )
        if counts.wide_windows:
            lines.append(
                f"{file.path}: {counts.wide_windows} row(s) were isolated in a window of more than "
                f"{WIDEST_WINDOW:g} Th (DIA?), `score` refuses such scans"
            )
    for dataset, tables in homes.items():
        if len(tables) > 1:
            lines.append(f"dataset {dataset} is in several splits: {', '.join(sorted(tables))}")
    for (_, stem), paths in stems.items():
        if len(paths) > 1:
            lines.append(f"run {stem} was given {len(paths)} times: {', '.join(paths)}")
    if leftovers:
        lines.append(f"left behind by a killed ingest, if none is running: {', '.join(leftovers)}")
    return tuple(lines)
