"""Several finished trainings as one model: the mean of their answers, read in its own way."""

from dataclasses import asdict, dataclass
from typing import Any

from priorwise.errors import BadInput
from priorwise.learn.network_folder import read_weights
from priorwise.phases.checks import at_least
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.logged_model import find_model
from priorwise.phases.rna_data import read_rna
from priorwise.phases.rna_finish import Trained, features_of, finish, tell, together
from priorwise.phases.rna_model import log_rna_model
from priorwise.phases.rna_reading import ReadingOptions
from priorwise.phases.run_folder import working_folder
from priorwise.rna.features import feature_maps
from priorwise.rna.read_rows import load_rows
from priorwise.rna.saved_model import members_of, read_description
from priorwise.rna.schema import CUT, SCHEMA_NAME
from priorwise.rna.table import RnaFacts
from priorwise.store.tables import open_pinned
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class RnaEnsembleConfig(ReadingOptions):
    """Parameters of `rna_ensemble`.

    Attributes
    ----------
    runs : str
        Complete rna_pretrain runs, at least two, separated by commas; or models:/m-ID and the like.
        All were trained on the same partition of the same table; those with features with the same
        ones. They may differ in everything else.
    data : str
        Folder that holds the table rna_data that they were trained on; `synthetic` = the synthetic
        one.
    seed : int
        Unused: nothing is drawn.
    config : str
        Recipe YAML; empty for none.
    out : str
        Each run works in a folder of its own in here; empty = .priorwise/runs.
    """

    runs: str = ""
    data: str = "synthetic"
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("seed", self.seed, 0)
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise BadInput(
                f"runs: {self.runs!r} (expected two or more different run ids, separated by commas)"
            )

    @property
    def names(self) -> list[str]:
        """The runs, as they were named."""
        return [name.strip() for name in self.runs.split(",") if name.strip()]


Config = RnaEnsembleConfig


@dataclass(frozen=True)
class Member:
    """A finished model that becomes part of the ensemble."""

    facts: ModelFacts
    description: dict[str, Any]


def prepare(config: RnaEnsembleConfig, desk: Desk) -> Plan:
    """Find the models, read the table, and see that they belong together."""
    members = [_member(name, desk) for name in config.names]
    _, table = read_rna(config.data, desk)
    _check(members, table, config)
    digests = {f"member.{k}": member.facts.digest for k, member in enumerate(members)}
    return Plan(
        phase="rna_ensemble",
        polarity="",
        config=config,
        tables={"training": table},
        fingerprint=fingerprint("rna_ensemble", asdict(config), [table.digest], digests),
        upstream={f"upstream.member.{k}": m.facts.model_id for k, m in enumerate(members)},
        tags={"members": str(len(members))},
        resolved=members,
    )


def _member(name: str, desk: Desk) -> Member:
    facts = find_model(name, desk, "rna_pretrain")
    description = read_description(facts.folder)
    if description.get("schema") != SCHEMA_NAME:
        raise BadInput(f"runs: {name} has no RNA model (expected runs of rna_pretrain)")
    return Member(facts, description)


def _check(members: list[Member], table: RnaFacts, config: RnaEnsembleConfig) -> None:
    """Refuse members that saw different things: of these, no partition would be unseen by all."""
    first = members[0].description
    for name, member in zip(config.names, members, strict=True):
        own = member.description
        digest = str(own.get("training_digest", ""))
        if digest != table.digest:
            raise BadInput(
                f"runs: {name} was trained on a table with digest {digest[:12] or 'unknown'}, and "
                f"{table.uri} has {table.digest[:12]} (data; expected the table of its training)"
            )
        if own.get("train_partition") != first.get("train_partition"):
            raise BadInput(
                f"runs: {name} was trained on {own.get('train_partition')}, and "
                f"{config.names[0]} on {first.get('train_partition')} (expected the same partition)"
            )
    features_of([member.description for member in members])
    if config.val_partition == first.get("train_partition"):
        raise BadInput(f"val_partition: {config.val_partition} was trained on (expected another)")
    if not table.n_labelled(config.val_partition):
        raise BadInput(
            f"{table.uri}: no sequence with a structure in {config.val_partition} (val_partition; "
            f"there are: {', '.join(table.partitions) or 'none'})"
        )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Put the weights side by side, choose how the mean is read, and log the model."""
    config, table, members = plan.config, plan.tables["training"], plan.resolved
    first = members[0].description
    limits = [m.description["longest"] for m in members]
    longest = min((limit for limit in limits if limit), default=0)
    pinned = open_pinned(table.uri, table.version)
    rows, too_long = load_rows(pinned, [config.val_partition, CUT], longest or None)
    if too_long:
        say(f"{too_long} sequences have more than {longest} bases and are left out")
    description = {
        **{key: first[key] for key in ("training_data", "train_partition")},
        "features": features_of([member.description for member in members]),
        "phase": plan.phase,
        "training_run": track.run_id,
        "training_digest": table.digest,
        "longest": longest,
    }
    trained = together([_trained(member, description) for member in members])
    maps = feature_maps(rows.sequences(), description["features"])
    folder = working_folder(config.out, track.run_id)
    finished = finish(trained, config, rows, maps, folder)
    tell(finished, config, track)
    log_rna_model(track, finished.network)
    say(f"{len(trained.architecture['members'])} networks in one model")


def _trained(member: Member, description: dict[str, Any]) -> Trained:
    architecture = member.description["architecture"]
    folds = any(form.get("folds", False) for form in members_of(architecture))
    weights = read_weights(member.facts.folder)
    return Trained(architecture, weights, folds or bool(description["features"]), description)
