"""What promotion has to know of RNA models: from runs and tables to what the gates judge."""

from priorwise.phases.desk import Desk
from priorwise.phases.gates import Finding
from priorwise.phases.pipeline import Pipeline
from priorwise.phases.promotion_facts import judged_model, read_again, source_of, training_tables
from priorwise.phases.rna_candidate import RnaCandidate
from priorwise.phases.rna_card import RnaCard
from priorwise.phases.rna_gates import GATES
from priorwise.rna.saved_model import read_description
from priorwise.rna.schema import SCHEMA_NAME, TEST, UNSEEN
from priorwise.rna.table import RnaFacts, inspect
from priorwise.tracking.models import ModelFacts


def judged(model: ModelFacts, called: str, address: str, desk: Desk) -> RnaCandidate:
    """What a comparison needs of a model: its threshold and its evaluations, not its lineage."""
    description = read_description(model.folder)
    return RnaCandidate(
        **judged_model(model, called, address, description, desk),
        method=str(description["decoder"]["method"]),
        features=tuple(description["features"]),
        noncanonical_penalty=float(description["decoder"].get("noncanonical_penalty", 0)),
        folding_weight=float(description["folding_weight"]),
        stem_weight=float(description["decoder"].get("stem_weight", 0)),
        doubt_discount=float(description["decoder"].get("doubt_discount", 0)),
        longest=int(description["longest"]),
        training_digest=str(description.get("training_digest", "")),
    )


def facts(
    model: ModelFacts, called: str, address: str, loaded: Finding, desk: Desk
) -> RnaCandidate:
    """All that the gates ask of a candidate; reads the runs behind it, and the training table."""
    known = judged(model, called, address, desk)
    training = source_of(read_description(model.folder)["training_run"], desk)
    tables = training_tables([training.run_id] if training else [], desk)
    return RnaCandidate(
        **{
            **vars(known),
            "loaded": loaded,
            "training": training,
            "logged_by": source_of(model.run_id, desk),
            "inputs": {run_id: table.digest for run_id, table in tables.items()},
            "table": read_again(tables.get(training.run_id) if training else None, read_table),
        }
    )


def read_table(uri: str, version: int) -> RnaFacts:
    """Read and check a whole table."""
    return inspect(uri, version)[1]


RNA = Pipeline(
    schema=SCHEMA_NAME,
    registered="priorwise-rna",
    candidate=RnaCandidate,
    gates=GATES,
    judged=judged,
    facts=facts,
    card=RnaCard,
    carried=(
        *(f"f1.{UNSEEN}{end}" for end in ("", ".low", ".high")),
        *(f"{name}.{UNSEEN}" for name in ("precision", "recall", "copy_f1", "rnafold_f1")),
        f"f1.{TEST}",
    ),
    own_tags=lambda model: {"method": model.method, "features": ", ".join(model.features)},
    columns={
        f"F1 {UNSEEN}": f"f1.{UNSEEN}",
        f"F1 {TEST}": f"f1.{TEST}",
        f"RNAfold {UNSEEN}": f"rnafold_f1.{UNSEEN}",
    },
)
