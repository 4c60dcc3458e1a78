"""The parameters that every spectra training has; their defaults are the guide's values."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, within


@dataclass(frozen=True)
class TrainingOptions:
    """Parameters that both trainings have; the defaults are the guide's values.

    Attributes
    ----------
    data : str
        Folder that holds train_data and validation_data; `simulated` = the simulated tables.
    data_val : str
        Folder of validation_data, if elsewhere; auto = in `data`.
    batch_size : int
        Rows per step and process.
    epochs : int
        At most this many passes over the training table.
    patience : int
        Epochs without improvement of `monitor` before training stops.
    monitor : str
        Metric that picks the best checkpoint and stops early.
    degenerate_patience : int
        Degenerate epochs in a row (nearly every row, or nearly none, called positive; constant
        scores) after which training stops; 0 = never.
    d_model : int
        Width of the encoder, a multiple of 8.
    n_layers : int
        Encoder layers.
    dropout : float
        Probability in [0, 1).
    encoder_lr, linear_lr : float
        Learning rates of the encoder and of all heads.
    weight_decay : float
        AdamW's decoupled weight decay.
    instrument_embedding_dim : int
        Width of the embedding of the 22 settings.
    length_window : int
        Rows are sorted by their number of peaks within so many batches, so that little is padded;
        each batch keeps the window's shares of both polarities and labels. 1 = batches drawn
        independently, as published.
    precision : {"auto", "32", "bf16"}
        auto: single precision on a CPU, float16 with a scaled gradient on a GPU; bf16: bfloat16
        where that is sound.
    rows : {"memory", "packed", "streamed"}
        Where the rows are while a model trains. packed: in files under .priorwise/packed, made
        once for each table and mapped, for tables near or beyond the size of memory; streamed:
        read from the table some windows at a time, and shuffled as blocks of rows.
    log_every_n_steps : int
        Steps between two values of train_loss_step in MLflow; 0 = none.
    num_workers : int
        Processes that assemble batches of the training table, and as many for validation; they take
        seconds to start and 0.2 GB each, and stay to the end. 0 assembles in the training process.
    devices : int
        Processes on each node (GPUs, or CPU processes); 0 = all available accelerators.
    num_nodes : int
        Machines that train together, each with so many processes: the README says how to start
        them.
    strategy : {"auto", "ddp"}
        How processes train together; auto: ddp if there are several.
    torch_compile : bool
        Compile the network first. Measured on CPUs: no faster, and one to two minutes go by before
        the first step; for GPUs it is untested.
    resume : str
        Run id of an interrupted training to continue.
    allow_change : bool
        Continue it although parameters in CHANGEABLE, data or source have changed since.
    seed : int
    config : str
        Recipe YAML; empty for none.
    out : str
        Each run works in a folder of its own in here; empty = .priorwise/runs.
    """

    #: what another value can be given in the middle of a training; the others decide what it is
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset(
        {"batch_size", "epochs", "patience", "degenerate_patience", "dropout", "encoder_lr"}
        | {"linear_lr", "weight_decay", "length_window", "precision", "rows", "seed", "pos_weight"}
    )

    data: str = "simulated"
    data_val: str = "auto"
    batch_size: int = 256
    epochs: int = 30
    patience: int = 10
    monitor: str = "val_recall"
    degenerate_patience: int = 5
    d_model: int = 128
    n_layers: int = 2
    dropout: float = 0.3
    encoder_lr: float = 5e-6
    linear_lr: float = 1e-5
    weight_decay: float = 1e-3
    instrument_embedding_dim: int = 16
    length_window: int = 1
    precision: Literal["auto", "32", "bf16"] = "auto"
    rows: Literal["memory", "packed", "streamed"] = "memory"
    log_every_n_steps: int = 50
    num_workers: int = 0
    devices: int = 0
    num_nodes: int = 1
    strategy: Literal["auto", "ddp"] = "auto"
    torch_compile: bool = False
    resume: str = ""
    allow_change: bool = False
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience", "n_layers", "instrument_embedding_dim"):
            at_least(name, getattr(self, name), 1)
        at_least("length_window", self.length_window, 1)
        at_least("num_nodes", self.num_nodes, 1)
        for name in ("degenerate_patience", "log_every_n_steps", "num_workers", "devices", "seed"):
            at_least(name, getattr(self, name), 0)
        if self.d_model < 8 or self.d_model % 8:
            raise BadInput(f"d_model: {self.d_model} (expected a multiple of 8: 8 heads)")
        within("dropout", self.dropout, 0, 0.99)
        for name in ("encoder_lr", "linear_lr"):
            within(name, getattr(self, name), 0, 1, open_low=True)
        within("weight_decay", self.weight_decay, 0, 1)

    def check_monitor(self, known: tuple[str, ...]) -> None:
        """Refuse a monitor that this training does not log."""
        if self.monitor not in known:
            raise BadInput(f"monitor: {self.monitor} (expected one of {', '.join(known)})")
