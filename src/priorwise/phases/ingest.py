"""Runs of a mass spectrometer, and a library to label them with, to Lance tables."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, within
from priorwise.phases.desk import Desk, Plan, say
from priorwise.spectra.ingest.build import build
from priorwise.spectra.ingest.report import IngestReport
from priorwise.store.staging import staged
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class Ingest:
    """Parameters of `ingest`.

    Attributes
    ----------
    inputs : str
        mzML or mzXML, plain or .gz: a file, a folder, a glob, a comma-separated list, or an
        s3:// prefix.
    library : str
        MGF or MSP (.gz) of reference spectra; empty = every row is unlabelled.
    dataset_id : str
        Name of the data set; empty = MSV number in the path, else the file's stem.
    split : str
        CSV with columns file,split (train, validation, test_1, test_2, test_3); empty = all train.
    bad_rows : str
        refuse = stop at a bad row; drop = leave it out and count it.
    max_peaks : int
        Peaks kept of an MS1 scan.
    min_rel_intensity : float
        Peaks below this fraction of the base peak are dropped.
    ms1 : {"shared", "repeated"}
        shared: the peaks of an MS1 scan are stored once for all its rows; repeated: in each row,
        as published, for programs other than this one. All phases read both alike.
    seed : int
        Accepted as in every phase; ingesting is not random.
    config : str
        Recipe YAML; empty for none.
    out : str
        Folder of the tables.
    """

    inputs: str = ""
    library: str = ""
    dataset_id: str = ""
    split: str = ""
    bad_rows: Literal["refuse", "drop"] = "refuse"
    max_peaks: int = 400
    min_rel_intensity: float = 0.01
    ms1: Literal["shared", "repeated"] = "shared"
    seed: int = 1
    config: str = ""
    out: str = ".priorwise/ingested"

    def __post_init__(self) -> None:
        if not self.inputs:
            raise BadInput("inputs: nothing given (expected a file, a folder or a glob)")
        at_least("max_peaks", self.max_peaks, 1)
        within("min_rel_intensity", self.min_rel_intensity, 0, 1)


Config = Ingest


def prepare(config: Ingest, desk: Desk) -> Plan:
    """Nothing to resolve."""
    return Plan(
        phase="ingest",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("ingest", asdict(config), [], {}),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Read, label, normalise, write; then say what came out."""
    config = plan.config
    with staged(config.inputs) as inputs, staged(config.library) as library:
        report = build(
            inputs,
            config.out,
            library=library or None,
            dataset_id=config.dataset_id or None,
            split=config.split or None,
            bad_rows=config.bad_rows,
            max_peaks=config.max_peaks,
            min_rel_intensity=config.min_rel_intensity,
            ms1=config.ms1,
        )
    say(files_table(report).to_string(index=False))
    for warning in report.warnings:
        say(f"warning: {warning}")
    for name, table in report.tables.items():
        say(f"{name}: {table.rows} rows, {table.labelled} labelled")
        if not table.labelled:
            say(f"warning: no row of {name} is labelled: nothing can be learned from it")
        missing = [f"{setting} {n}" for setting, n in table.missing.items() if n]
        if missing:
            say(f"  rows that lack a setting: {', '.join(missing)}")
        slug = name.replace("/", ".")
        track.metrics({f"rows.{slug}": table.rows, f"labelled.{slug}": table.labelled})
    track.json(json.loads(report.to_json()), "ingest_report.json")
    track.json(json.loads(report.stats.to_json()), "settings_stats.json")
    track.text(files_table(report).to_csv(index=False), "files.csv")
    track.tags({"data.folder": config.out})


def files_table(report: IngestReport) -> pd.DataFrame:
    """Counts of each file that was read, in reading order.

    An MS2 scan without an MS1 scan before it is no row, even if the library identifies it.
    """
    return pd.DataFrame(
        [
            {
                "file": Path(file.path).name,
                "table": file.table,
                "MS1": file.counts.ms1,
                "MS2": file.counts.ms2,
                "identified": file.counts.labelled,
                "rows": file.counts.rows,
                "labelled rows": file.counts.labelled_rows,
            }
            for file in report.files
        ]
    )
