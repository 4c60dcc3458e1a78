"""Finding the tables a phase was pointed at, simulating the default ones on first use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.desk import WORK_FOLDER, Desk, say
from priorwise.spectra.facts import TableFacts, inspect
from priorwise.spectra.simulate import Simulation, key, write
from priorwise.store.addresses import is_remote
from priorwise.store.tables import PinnedTable

SIMULATED = "simulated"


@dataclass(frozen=True)
class SimulateConfig(Simulation):
    """Parameters of `simulate`, and where its tables go.

    Attributes
    ----------
    config : str
        Recipe YAML; empty for none.
    out : str
        Folder of the tables; empty = .priorwise/simulated/<hash of the parameters>.
    """

    config: str = ""
    out: str = ""

    def simulation(self) -> Simulation:
        """The parameters that decide the rows."""
        names = Simulation.__dataclass_fields__
        return Simulation(**{name: getattr(self, name) for name in names})

    def folder(self) -> Path:
        """Where the tables lie."""
        return Path(self.out) if self.out else WORK_FOLDER / "simulated" / key(self.simulation())


def simulated_folder(config: SimulateConfig) -> Path:
    """Folder of simulated tables, made if it is not there yet."""
    folder = config.folder()
    if not (folder / "train_data").exists():
        say(f"simulated data: making tables with known truth in {folder} (seed {config.seed})")
        write(config.simulation(), str(folder))
    return folder


def data_folder(data: str, desk: Desk) -> str:
    """The folder (or table) named by `data`; `simulated` means the recipe's simulation."""
    if data != SIMULATED:
        return data
    folder = simulated_folder(parse("simulate", SimulateConfig, desk.recipe, []))
    say(f"data=simulated: using {folder}")
    return str(folder)


def read_table(data: str, table: str, desk: Desk) -> tuple[PinnedTable, TableFacts]:
    """Open, pin and check a table; say which version was read."""
    pinned, facts = inspect(data_folder(data, desk), table)
    say(
        f"{table}: {facts.n_rows()} rows, {facts.n_labelled()} labelled "
        f"(version {facts.version}, digest {facts.digest[:8]}, {facts.uri})"
    )
    return pinned, facts


def beside(data: str, data_test: str, name: str) -> str:
    """Where a test set lies: as named, or in the folder `name` beside the training table."""
    if data_test != "auto":
        return data_test
    if data == SIMULATED:
        return SIMULATED
    if is_remote(data):
        return f"{data.rstrip('/')}/{name}"
    # `data` may be the training table itself: then beside it
    folder = (Path(data).parent if (Path(data) / "_versions").is_dir() else Path(data)) / name
    if not folder.exists():
        raise BadInput(
            f"{name}: not given, and there is no {folder} (expected a folder that holds test_data: "
            f"{name}=FOLDER, or rows of the split {name})"
        )
    return str(folder)


def read_test(data: str, data_test: str, name: str, desk: Desk) -> tuple[PinnedTable, TableFacts]:
    """Open, pin and check a test set."""
    where = beside(data, data_test, name)
    if where == SIMULATED:
        where = str(Path(data_folder(SIMULATED, desk)) / name)
    return read_table(where, "test_data", desk)


def require_labelled(test: TableFacts, polarity: str, min_labelled: int, what: str) -> None:
    """Refuse a test set with too few labelled rows of `polarity` for `what`."""
    test.require(polarity, what=what)
    labelled = test.n_labelled(polarity)
    if labelled < min_labelled:
        raise BadInput(
            f"{test.uri}: {labelled} labelled rows of {polarity} polarity "
            f"(min_labelled={min_labelled} needed for {what})"
        )


def training_tables(
    data: str, data_val: str, modes: Sequence[str], desk: Desk
) -> tuple[TableFacts, TableFacts]:
    """Training and validation table, checked to be fit for training on the polarities `modes`."""
    _, train = read_table(data, "train_data", desk)
    _, held_out = read_table(data if data_val == "auto" else data_val, "validation_data", desk)
    held_out.require_other_than(train, "validation")
    for mode in modes:
        train.require(mode, what="training")
        held_out.require(mode, what="validation", unlabelled=False)
    return train, held_out
