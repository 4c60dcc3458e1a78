"""Runs and a library to Lance tables: two passes, bounded memory, all of it or nothing.

Pass 1 streams the runs into spool files with raw settings and gathers their statistics; pass 2
z-scores them and writes the tables. Everything happens in a hidden folder beside `out`, which is
renamed into place as the last step: whatever kills an ingest, there is never half a table.
"""

import shutil
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.spectra.ingest.inputs import (
    TABLES,
    assign_tables,
    dataset_id_of,
    find_runs,
    run_stem,
)
from priorwise.spectra.ingest.library import Library
from priorwise.spectra.ingest.library_formats import LIBRARY_SUFFIXES, Match
from priorwise.spectra.ingest.pairs import BAD_ROWS, PairCounts, iter_pairs
from priorwise.spectra.ingest.report import (
    FileReport,
    IngestReport,
    table_report,
    warnings_of,
)
from priorwise.spectra.ingest.scan import Scan
from priorwise.spectra.ingest.spool import LABELS_SCHEMA, MISSING_SCHEMA, Spool
from priorwise.spectra.ingest.streams import byte_bar
from priorwise.spectra.preprocess import MAX_PEAKS, MIN_REL_INTENSITY, check_peak_options
from priorwise.spectra.schema import SPECTRA_SCHEMA
from priorwise.spectra.settings import STATS_FILE, STATS_METADATA, RunningStats, SettingsStats
from priorwise.store.addresses import is_remote
from priorwise.store.memory import system_memory
from priorwise.store.shared import Sharing
from priorwise.store.tables import write_shared_table, write_table

REPORT_FILE = "ingest_report.json"
_STAGING = ".partial-ingest-"

Progress = Callable[[int], object]

#: how a table that `ingest` writes stores the peaks of an MS1 scan once for all MS2 scans after it
SHARED_MS1 = Sharing(("mz_array", "intensity_array"), reference="ms1_row", ending="_ms1")


@system_memory()
def build(
    inputs: str,
    out: str,
    *,
    library: str | None = None,
    dataset_id: str | None = None,
    split: str | None = None,
    bad_rows: str = "refuse",
    max_peaks: int = MAX_PEAKS,
    min_rel_intensity: float = MIN_REL_INTENSITY,
    ms1: str = "shared",
    max_decompressed_bytes: int | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Build the tables of a data folder from runs.

    Parameters
    ----------
    inputs : str
        Runs: see `ingest.inputs.find_runs`.
    out : str
        Output folder: new, or empty. It gets the tables, each with its sidecars `_missing` (which
        settings each row lacks) and `_labels` (library accession of each labelled row),
        settings_stats.json and ingest_report.json.
    library : str, optional
        MGF or MSP file; without one every row is unlabelled.
    dataset_id : str, optional
        For all rows; if not given, the MassIVE id in a run's path, else the stem of its name.
    split : str, optional
        CSV file,split: see `ingest.inputs.assign_tables`. Without it all rows go to `train_data`.
    bad_rows : str
        "refuse" or "drop": see `ingest.pairs.iter_pairs`.
    max_peaks, min_rel_intensity
        See `preprocess.preprocess_ms1`.
    ms1 : str
        "shared": the peaks of an MS1 scan are stored once for all its rows, in the sidecar
        `_ms1`; "repeated": in each row, as published. Both read alike.
    max_decompressed_bytes : int, optional
        Bound on each gzip file: see `ingest.streams.ByteStream`.
    progress : callable, optional
        Called with the bytes read since the last call; if not given, a bar is drawn on stderr.

    Returns
    -------
    IngestReport

    Raises
    ------
    BadInput
        If an input, the library or the split file is not as expected, if `out` is not empty, or
        if no row came of the inputs. Nothing is left behind.
    """
    target = _free_target(out)
    check_peak_options(min_rel_intensity, max_peaks)
    if bad_rows not in BAD_ROWS:
        raise BadInput(f"bad_rows={bad_rows}: expected one of {', '.join(BAD_ROWS)}")
    runs = find_runs(inputs)
    assignment = assign_tables(runs.paths, split)
    sources = [Path(library)] if library else []
    if library and not (sources[0].is_file() and library.lower().endswith(LIBRARY_SUFFIXES)):
        raise BadInput(f"library={library}: expected an existing .mgf or .msp file, plain or .gz")
    total = sum(path.stat().st_size for path in (*sources, *runs.paths))

    leftovers = sorted(str(p) for p in target.parent.glob(f"{_STAGING}{target.name}-*"))
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.parent / f"{_STAGING}{target.name}-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        with ExitStack() as stack:
            if progress is None:
                bar = stack.enter_context(byte_bar(total, "ingest"))
                progress = bar.update
            index = None
            if library:
                index = stack.enter_context(
                    Library(
                        library,
                        scratch=staging,
                        on_bytes=progress,
                        max_decompressed_bytes=max_decompressed_bytes,
                    )
                )
            spools = {
                table: Spool(staging / f"spool-{number}.arrow")
                for number, table in enumerate(t for t in TABLES.values() if t in assignment.tables)
            }
            for spool in spools.values():
                stack.callback(spool.close)
            files = []
            for path, table in zip(runs.paths, assignment.tables, strict=True):
                counts = PairCounts()
                dataset = dataset_id or dataset_id_of(path)
                for pair in iter_pairs(
                    path,
                    counts,
                    identify=_identifier(index),
                    bad_rows=bad_rows,
                    max_peaks=max_peaks,
                    min_rel_intensity=min_rel_intensity,
                    max_decompressed_bytes=max_decompressed_bytes,
                    on_bytes=progress,
                ):
                    spools[table].add(pair, run_stem(path), dataset, str(path))
                files.append(FileReport(str(path), dataset, table, counts))
            for spool in spools.values():
                spool.finish()
        spools = {table: spool for table, spool in spools.items() if spool.n_rows}
        if not spools:
            raise BadInput(f"inputs={inputs}: no MS2 scan with an MS1 scan before it")
        stats = _stats(spools)
        report = IngestReport(
            files=tuple(files),
            tables={table: table_report(spool) for table, spool in spools.items()},
            stats=stats,
            library=index.counts if index else None,
            blanks=tuple(map(str, runs.blanks)),
            ignored=tuple(map(str, runs.ignored)),
            warnings=warnings_of(
                runs, assignment, files, spools, stats, index is not None, leftovers
            ),
        )
        finished = staging / "out"
        for table, spool in spools.items():
            _write(finished / table, spool, stats, ms1 == "shared")
        (finished / STATS_FILE).write_text(stats.to_json(), encoding="utf-8")
        (finished / REPORT_FILE).write_text(report.to_json(), encoding="utf-8")
        try:
            finished.rename(target)
        except OSError as error:
            raise BadInput(f"{out}: filled by someone else meanwhile ({error.strerror})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return report


def _free_target(out: str) -> Path:
    if is_remote(out):
        raise BadInput(f"out={out}: expected a local folder")
    target = Path(out)
    if target.exists() and not target.is_dir():
        raise BadInput(f"{out}: is a file; expected a new or empty folder")
    if target.is_dir() and (inside := sorted(p.name for p in target.iterdir())):
        what = f"is not empty ({inside[0]})"
        if (target / "train_data").exists():
            what = "tables are already there"
        raise BadInput(f"{out}: {what}; expected a new or empty folder")
    return Path(target.absolute())


def _identifier(index: Library | None) -> Callable[[Scan], Match | None] | None:
    if index is None:
        return None

    def identify(scan: Scan) -> Match | None:
        assert scan.polarity is not None and scan.precursor_mz is not None
        return index.best_match(scan.polarity, scan.precursor_mz, scan.mz, scan.intensity)

    return identify


def _stats(spools: dict[str, Spool]) -> SettingsStats:
    if TABLES["train"] in spools:
        return spools[TABLES["train"]].stats.result("train_data")
    everything = RunningStats()
    for spool in spools.values():
        everything.merge(spool.stats)
    return everything.result("all rows")


def _write(place: Path, spool: Spool, stats: SettingsStats, shared: bool) -> None:
    schema = SPECTRA_SCHEMA.with_metadata({STATS_METADATA: stats.to_json().encode()})
    # small fragments: the writer holds one in memory
    if shared:
        write_shared_table(
            str(place),
            schema,
            lambda: spool.table(schema, stats),
            SHARED_MS1,
            rows_per_file=4096,
        )
    else:
        write_table(str(place), schema, spool.table(schema, stats), rows_per_file=4096)
    write_table(f"{place}_missing", MISSING_SCHEMA, spool.missing())
    write_table(f"{place}_labels", LABELS_SCHEMA, spool.labels())
    (place.parent / STATS_FILE).write_text(stats.to_json(), encoding="utf-8")
