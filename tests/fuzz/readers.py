"""Every reader of outside bytes: sound samples of its format, and what a sane answer is.

A reader gets a path and reads it to the end, as the phases do. It may raise `BadInput`, of one
line; any other exception, or an answer that is not sane, is a finding.
"""

import atexit
import gzip
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.spectra.generated_runs import cycles, mzml_text, mzxml_text

from priorwise.errors import BadInput
from priorwise.learn.network_folder import write_model
from priorwise.learn.plain_checkpoint import read_plain
from priorwise.phases.arguments import parse
from priorwise.phases.bce_pretrain import BcePretrain
from priorwise.phases.desk import Recipe
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.formats.read import read_files
from priorwise.rna.history import by_epoch, read_metrics
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.facts import inspect
from priorwise.spectra.ingest.formats import iter_any_scans
from priorwise.spectra.ingest.fragments import ScanCounts, iter_fragments
from priorwise.spectra.ingest.inputs import TABLES, assign_tables
from priorwise.spectra.ingest.library_formats import iter_entries
from priorwise.spectra.published import read_published
from priorwise.spectra.saved_model import load_saved_model
from priorwise.spectra.simulate import Simulation, write

ARCHITECTURE = {
    "d_model": 16, "n_layers": 1, "dropout": 0.3, "hidden_fc1": 8, "instrument_embedding_dim": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes
    ----------
    read : callable of path
        Reads to the end and checks that the answer is sane.
    samples : callable of () -> dict of name -> bytes
        Sound files. A name that ends in .gz is spoilt inside or outside of its compression.
    folder : callable of folder, or None
        For a reader of folders: writes a sound one; one file of it is spoilt in each case.
    json : bool
        The sample is JSON, and is spoilt as such in half of the cases.
    """

    read: Callable[[Path], None]
    samples: Callable[[], dict[str, bytes]] = field(default=dict)
    folder: Callable[[Path], None] | None = None
    json: bool = False


# --- spectra --------------------------------------------------------------------------------------


def read_scans(path: Path) -> None:
    scans = []
    for fragment in iter_fragments(_noted(iter_any_scans(path), scans), ScanCounts()):
        assert fragment.settings().shape == (22,)
        if not fragment.reason:
            survey = fragment.survey
            assert survey is not None and len(survey.mz) == len(survey.intensity) > 0
            assert np.isfinite(survey.mz).all() and np.isfinite(survey.intensity).all()
            assert fragment.scan.precursor_mz and math.isfinite(fragment.scan.precursor_mz)
    for scan in scans:
        assert scan.mz.shape == scan.intensity.shape or scan.problem
        assert 0 <= scan.scan_number < 2**31 and scan.polarity in ("positive", "negative", None)


def _noted(scans: Any, into: list) -> Any:
    for scan in scans:
        into.append(scan)
        yield scan


def read_library(path: Path) -> None:
    for entry in iter_entries(path):
        assert entry.peaks.ndim == 2 and np.isfinite(entry.peaks).all()
        assert (np.diff(entry.peaks[:, 0]) >= 0).all()
        assert entry.precursor_mz is None or 0 < entry.precursor_mz < math.inf


def both(name: str, data: bytes) -> dict[str, bytes]:
    return {name: data, f"{name}.gz": gzip.compress(data, mtime=0)}


def mzml() -> dict[str, bytes]:
    return both("run.mzML", mzml_text(cycles(2)).encode())


def mzxml() -> dict[str, bytes]:
    flat = cycles(2)
    nested = cycles(2)
    nested[0].children, rest = nested[1:3], [nested[0], *nested[3:]]
    return both("run.mzXML", mzxml_text(flat, "ESI").encode()) | {
        "nested.mzXML": mzxml_text(rest).encode()
    }


_ROOT = Path(__file__).resolve().parents[2]
_SHARED = Path(os.environ.get("PRIORWISE_SHARED", _ROOT.parent / "shared"))
MGF = """# comment
BEGIN IONS
TITLE=run scan=17
SPECTRUMID=CCMSLIB00000001
SCANS=17
PEPMASS=301.1410 1234.5
CHARGE=1+
IONMODE=Positive
ADDUCT=[M+H]+
MSLEVEL=2
NAME=caffeine
100.0757 30.5
138.0662 999
195.0877 12.25
END IONS

BEGIN IONS
MSLEVEL=1
PEPMASS=0
100.1 5
END IONS
"""
MSP = """Name: Caffeine
DB#: MSBNK-X-1
Precursor_type: [M+H]+
PrecursorMZ: 195.0877
Ion_mode: P
Num Peaks: 3
69.0447 12.5
110.0713 25 "a; b"
138.0662 999

Name: B
PrecursorMZ: 300.2
Charge: 2-
Num Peaks: 2
100 1; 200 2
"""


@cache
def raw_runs() -> dict[str, bytes]:
    header = b"\x01\xa1F\0i\0n\0n\0i\0g\0a\0n\0" + bytes(1400)
    found = {"header.raw": header, "header.raw.gz": gzip.compress(header, mtime=0)}
    sample = _SHARED / "data/spectra/runs/rawrr_sample.raw.gz"
    if sample.exists():
        found["sample.raw"] = gzip.decompress(sample.read_bytes())
    return found


# --- RNA ------------------------------------------------------------------------------------------


def read_rna(path: Path) -> None:
    refusals = []
    for policy in ("refuse", "drop"):
        try:
            found = read_files([path], policy)
        except BadInput as error:
            refusals.append(_one_line(error))
            continue
        ids = [record.id for record in found.records]
        assert len(set(ids)) == len(ids)
        for record in found.records:
            assert record.sequence and set(record.sequence) <= set("ACGUN")
            if record.pairs is not None and len(record.pairs):
                assert (record.pairs[:, 0] < record.pairs[:, 1]).all()
                assert 0 <= record.pairs.min() and record.pairs.max() < len(record.sequence)
        for bad in found.bad:
            assert "\n" not in str(bad)
    if len(refusals) == 2:
        raise refusals[0]


def _one_line(error: BadInput) -> BadInput:
    assert "\n" not in str(error).strip(), str(error)[:300]
    assert len(str(error)) < 3000
    return error


CT = "7\tdG = -3.1 hairpin\n" + "".join(
    f"{i} {b} {i - 1} {(i + 1) % 8} {p} {i}\n"
    for i, (b, p) in enumerate(zip("GGAAACC", (7, 6, 0, 0, 0, 2, 1), strict=True), 1)
)
BPSEQ = "# comment\nFilename: a\n" + "".join(
    f"{i} {b} {p}\n"
    for i, (b, p) in enumerate(zip("GGAAACC", (7, 6, 0, 0, 0, 2, 1), strict=True), 1)
)
DBN = "#Name: x\nGGAAACC\n((...)) (-1.2)\n>y\nGGGAAACC\n.[[..]].\n"
FASTA = ">a first\nGGAAACC\nACGUN\n>b\nacgtu\n"
CSV = (
    "id,sequence,structure,base_pairs,family,partition\n"
    'a,GGAAACC,((...)),"[[1, 7], [2, 6]]",t,TR0\n'
    'b,GGTTTCC,,"[[1, 7]]",u,train\nc,ACGUN,,,,\n'
)
METRICS = (
    "epoch,step,phase,loss,mlm_loss,structure_loss,pair_loss,mlm_accuracy,structure_accuracy,"
    "pair_precision,pair_recall,pair_f1,learning_rate,activation_rate\n"
    "0,0,train,1.5,0.5,0.5,0.5,0.1,0.2,0.3,0.4,0.34,1e-4,0.4\n"
    "0,0,val,1.4,0.5,0.5,0.4,0.1,0.2,0.3,0.4,0.34,1e-4,\n"
    "1,10,train,1.3,0.5,0.5,0.3,0.1,0.2,0.3,0.4,0.34,1e-4,0.4\n"
)


def read_history(path: Path) -> None:
    frame = read_metrics(path, say=lambda line: None)
    assert (
        set(frame["phase"]) <= {"train", "val"} and not frame.duplicated(["epoch", "phase"]).any()
    )
    by_epoch(frame)


# --- tables, recipes, models ----------------------------------------------------------------------

RUNS = tuple(Path("/data", name) for name in ("a.mzML", "b.mzML.gz", "c[1].mzXML"))
SPLIT = "file,split\na.mzML,train\nb.mzML,test_1\nc[1].mzXML,validation\n*.mgf,test_3\n"


def read_split(path: Path) -> None:
    found = assign_tables(RUNS, path)
    assert len(found.tables) == len(RUNS) and set(found.tables) <= set(TABLES.values())


RECIPE = (
    "# comment\ntraining:\n  epochs: 5\n  encoder_lr: 1e-3\nbce_pretrain:\n  monitor: val_loss\n"
    "  dropout: 0.1\n  data: tables\nnnpu_train:\n  override: true\n  prior_pos: 0.45\n"
)


def read_recipe(path: Path) -> None:
    found = parse("bce_pretrain", BcePretrain, Recipe(str(path)), [])
    assert math.isfinite(found.encoder_lr) and found.epochs >= 1 and "\0" not in found.data


@cache
def checkpoint() -> dict[str, bytes]:
    torch.manual_seed(0)
    network = SpectrumClassifier(**ARCHITECTURE)
    content = {
        "state_dict": network.state_dict(),
        "hyper_parameters": {**ARCHITECTURE, "prior_pos": 0.45, "prior_neg": 0.28},
        "epoch": 3,
        "global_step": 12,
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "lr": 1e-5}],
        "callbacks": {"EarlyStopping{}": {"wait_count": 1, "best": torch.tensor(0.5)}},
    }
    stream = io.BytesIO()
    torch.save(content, stream)
    return {"best.ckpt": stream.getvalue()}


def read_checkpoints(path: Path) -> None:
    refusals = []
    for read in (read_published, kept_weights, read_plain):
        try:
            found = read(path)
        except BadInput as error:
            refusals.append(_one_line(error))
            continue
        if read is read_published:
            assert all(torch.isfinite(v).all() for v in found.state.values())
    if refusals:
        raise refusals[0]


def network_folder(folder: Path) -> None:
    torch.manual_seed(0)
    said = {"phase": "nnpu_train", "polarity": "both", "schema": "spectra/1", "threshold": 0.5}
    write_model(folder, ARCHITECTURE, SpectrumClassifier(**ARCHITECTURE).state_dict(), said)


def read_network(path: Path) -> None:
    found = load_saved_model(path)
    assert 0 <= found.threshold <= 1 and found.modes
    found.stats  # noqa: B018 - read when asked for


@cache
def _scratch() -> Path:
    """A folder for as long as this process lives."""
    folder = tempfile.mkdtemp(prefix="fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _tables() -> Path:
    folder = _scratch() / "tables"
    write(Simulation(n_train=40, n_validation=20, n_test=20, max_peaks=16), str(folder))
    return folder / "train_data"


def lance_folder(folder: Path) -> None:
    shutil.copytree(_tables(), folder / "train_data")


def read_table(path: Path) -> None:
    _, facts = inspect(str(path), "train_data")
    for mode in ("positive", "negative"):
        assert 0 <= facts.n_labelled(mode) <= facts.n_rows(mode)


# --- requests -------------------------------------------------------------------------------------


@cache
def served() -> Any:
    """The pyfunc model in this process, behind MLflow's own request handler."""
    import mlflow
    import mlflow.pyfunc.scoring_server as server

    from priorwise.serving.spectra_package import SPECTRA

    folder = _scratch()
    network_folder(folder / "network")
    text = (folder / "network/model.json").read_text()
    (folder / "network/model.json").write_text(
        json.dumps({**json.loads(text), "training_run": "a" * 32})
    )
    SPECTRA.write(folder / "network", folder / "model", "m-" + "0" * 32, "a" * 32)
    return server, mlflow.pyfunc.load_model(str(folder / "model"))


def request() -> dict[str, bytes]:
    from tests.serving.frames import table_frame

    frame = json.loads(table_frame(3, longest=6).to_json(orient="split", index=False))
    records = json.loads(table_frame(2, longest=4).to_json(orient="records"))
    return {
        "split.json": json.dumps({"dataframe_split": frame}).encode(),
        "records.json": json.dumps(
            {"dataframe_records": records, "params": {"threshold": 0.5}}
        ).encode(),
    }


def ask(path: Path) -> None:
    from mlflow.exceptions import MlflowException

    server, model = served()
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:  # the server answers 400 before it calls the handler
        raise BadInput("no UTF-8") from error
    try:
        answer = server.invocations(
            text, "application/json", model, model.metadata.get_input_schema()
        )
    except MlflowException as error:
        assert error.get_http_status_code() == 400, error
        raise BadInput("refused") from error
    if answer.status != 200:
        assert answer.status == 400, answer.response
        raise BadInput("refused")
    found = json.loads(answer.response, parse_constant=_no_constant)
    for row in found["predictions"]:
        assert 0 <= row["probability"] <= 1


def _no_constant(text: str) -> None:
    raise AssertionError(f"{text} in an answer")


READERS: dict[str, Reader] = {
    "mzML": Reader(read_scans, mzml),
    "mzXML": Reader(read_scans, mzxml),
    "MGF scans": Reader(read_scans, lambda: both("run.mgf", MGF.encode())),
    "MGF library": Reader(read_library, lambda: both("library.mgf", MGF.encode())),
    "MSP library": Reader(read_library, lambda: both("library.msp", MSP.encode())),
    "Thermo RAW": Reader(read_scans, raw_runs),
    "CT": Reader(read_rna, lambda: both("a.ct", (CT + CT).encode())),
    "BPSEQ": Reader(read_rna, lambda: both("a.bpseq", BPSEQ.encode())),
    "dot-bracket": Reader(read_rna, lambda: both("a.dbn", DBN.encode())),
    "FASTA": Reader(read_rna, lambda: both("a.fasta", FASTA.encode())),
    "CSV of RNA": Reader(read_rna, lambda: both("a.csv", CSV.encode())),
    "CSV of a split": Reader(read_split, lambda: {"split.csv": SPLIT.encode()}),
    "CSV of metrics": Reader(read_history, lambda: {"training_metrics.csv": METRICS.encode()}),
    "YAML recipe": Reader(read_recipe, lambda: {"recipe.yaml": RECIPE.encode()}),
    "checkpoint": Reader(read_checkpoints, checkpoint),
    "network folder": Reader(read_network, folder=network_folder),
    "Lance folder": Reader(read_table, folder=lance_folder),
    "scoring JSON": Reader(ask, request, json=True),
}
