"""Probabilities of a trained model for the rows of a table, as the published CSV."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from priorwise.errors import BadInput
from priorwise.phases.candidates import RUN_ID
from priorwise.phases.checks import polarity_list, writable_file
from priorwise.phases.data import read_table
from priorwise.phases.desk import WORK_FOLDER, Desk, Plan, say
from priorwise.phases.logged_model import find_model
from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.encoder import in_bfloat16
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.saved_model import read_description
from priorwise.spectra.scoring import add_metadata, predictions
from priorwise.store.tables import open_pinned
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class Predict:
    """Parameters of `predict`.

    Attributes
    ----------
    model : str
        Run id of a training (or another run that logged a model), or a models:/ address.
    data : str
        Folder that holds the table; `simulated` = the simulated tables.
    table : str
        Name of the table in it.
    polarity : str
        both, positive or negative (the guide's 1 or 0); a BCE model knows one only.
    fetch_metadata : bool
        Add usi, mzml_filepath and scan_number.
    precision : {"32", "bf16"}
        bf16: bfloat16 where that is sound, faster; probabilities differ by about a hundredth.
    seed : int
        Accepted as in every phase; prediction is not random.
    config : str
        Recipe YAML; empty for none.
    out : str
        The CSV; empty = predictions.csv in .priorwise/runs/<run id>.
    """

    model: str = ""
    data: str = "simulated"
    table: str = "validation_data"
    polarity: Literal["both", "positive", "negative", "1", "0"] = "positive"
    fetch_metadata: bool = False
    precision: Literal["32", "bf16"] = "32"
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        modes = polarity_list(self.polarity, "polarity")
        object.__setattr__(self, "polarity", "both" if len(modes) == 2 else modes[0])
        if not (RUN_ID.match(self.model) or self.model.startswith("models:/")):
            found = self.model or "nothing"
            raise BadInput(f"model: {found} (expected a run id or models:/name@alias)")


Config = Predict


def prepare(config: Predict, desk: Desk) -> Plan:
    """Find the model; read the table."""
    if config.out:
        writable_file("out", Path(config.out))
    model = find_model(config.model, desk, "nnpu_train")
    known = read_description(model.folder)["polarity"]
    if known not in ("both", config.polarity):
        raise BadInput(f"model: {config.model} is for {known} polarity only")
    _, table = read_table(config.data, config.table, desk)
    if not any(table.n_rows(mode) for mode in polarity_list(config.polarity)):
        raise BadInput(f"{table.uri}: no rows of {config.polarity} polarity")
    return Plan(
        phase="predict",
        polarity=config.polarity,
        config=config,
        tables={config.table: table},
        fingerprint=fingerprint("predict", asdict(config), [table.digest], {"model": model.digest}),
        upstream={"upstream.model": model.model_id},
        resolved=model.folder,
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Score, write the CSV, keep it on the run."""
    config, facts = plan.config, plan.tables[plan.config.table]
    pinned = open_pinned(facts.uri, facts.version)
    network = in_bfloat16(load_network(plan.resolved), config.precision == "bf16")
    scores = predictions(network, load_rows(pinned, plan.polarity))
    left_out = facts.n_rows() - len(scores)
    if left_out:
        say(f"{left_out} rows of the other polarity are left out (polarity=both scores all)")
    if config.fetch_metadata:
        scores = add_metadata(pinned, scores)
    default = WORK_FOLDER / "runs" / track.run_id / "predictions.csv"
    path = Path(config.out) if config.out else default
    path.parent.mkdir(parents=True, exist_ok=True)
    scores.to_csv(path, index=False)
    track.artifact(path)
    kept = scores["probability"] >= 0.5
    track.metrics({"q": float(kept.mean()), "n": float(len(scores))})
    say(f"{len(scores)} rows scored, {100 * kept.mean():.1f} % at 0.5 or above: {path}")
