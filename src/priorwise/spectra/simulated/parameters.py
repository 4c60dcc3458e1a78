"""What to simulate: the parameters, their ranges, and the name of the rows they give."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

from priorwise.errors import BadInput
from priorwise.spectra.simulated.noise_pool import read_noise_pool
from priorwise.spectra.simulated.scans import NoisePool

#: counts up whenever the same parameters give other rows
FORMAT = 1
#: table -> number of its data sets; the order fixes the random streams
TABLES = {
    "train_data": 6,
    "validation_data": 3,
    "test_1/test_data": 3,
    "test_2/test_data": 3,
    "test_3/test_data": 3,
}
#: parameters that are whole numbers, with their least values
WHOLE = {"n_train": 20, "n_validation": 20, "n_test": 20, "max_peaks": 16, "seed": 0}
FRACTIONS = ("c_pos", "c_neg", "pi_pos", "pi_neg")


@dataclass(frozen=True)
class Simulation:
    """What to simulate."""

    #: rows of train_data, both polarities together; at least 20
    n_train: int = 6000
    #: rows of validation_data; at least 20
    n_validation: int = 1500
    #: rows of each of the three test tables; at least 20
    n_test: int = 1500
    #: label frequency c = P(s=1 | y=1) in positive mode, a fraction in (0, 1]
    c_pos: float = 0.5889
    #: the same in negative mode
    c_neg: float = 0.4486
    #: class prior pi = P(y=1) over all rows in positive mode, a fraction in (0, 1)
    pi_pos: float = 0.454
    #: the same in negative mode
    pi_neg: float = 0.285
    #: most peaks of an MS1 spectrum; at least 16
    max_peaks: int = 64
    #: seed of every random stream; at least 0
    seed: int = 1
    #: "none", or the address of a spectra table whose MS1 peaks serve as noise
    backgrounds: str = "none"

    def __post_init__(self) -> None:
        """Refuse values out of range, naming the parameter."""
        for name, least in WHOLE.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise BadInput(f"{name}={value!r}: expected a whole number of at least {least}")
        for name in FRACTIONS:
            value = getattr(self, name)
            sound = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
            closed = name.startswith("c_")
            if not sound or value <= 0 or value > 1 or (value == 1 and not closed):
                wanted = "0 < c <= 1" if closed else "0 < pi < 1"
                raise BadInput(f"{name}={value!r}: expected a fraction, {wanted}")
        if not isinstance(self.backgrounds, str) or not self.backgrounds:
            raise BadInput(f'backgrounds={self.backgrounds!r}: expected "none" or a table address')

    @property
    def c(self) -> dict[str, float]:
        """Label frequency by polarity."""
        return {"positive": float(self.c_pos), "negative": float(self.c_neg)}

    @property
    def pi(self) -> dict[str, float]:
        """Class prior by polarity."""
        return {"positive": float(self.pi_pos), "negative": float(self.pi_neg)}

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of each table."""
        sizes = dict.fromkeys(TABLES, int(self.n_test))
        sizes["train_data"], sizes["validation_data"] = int(self.n_train), int(self.n_validation)
        return sizes


def key(simulation: Simulation) -> str:
    """Short name of the rows that `simulation` gives: 12 hexadecimal characters.

    A background table enters with its peaks, not its address.

    Raises
    ------
    BadInput
        If the background table cannot be used.
    """
    return key_with(simulation, read_noise_pool(simulation.backgrounds))


def key_with(simulation: Simulation, pool: NoisePool | None) -> str:
    """`key`, for the background peaks already read."""
    values: dict[str, Any] = {"format": FORMAT, **parameters(simulation)}
    if pool is not None:
        peaks = pool.mz.tobytes() + pool.share.tobytes()
        values["backgrounds"] = hashlib.sha256(peaks).hexdigest()
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def parameters(simulation: Simulation) -> dict[str, int | float | str]:
    """Plain numbers, so that 1 and numpy.int64(1), or 1 and 1.0, name the same simulation."""
    values = asdict(simulation)
    for name in WHOLE:
        values[name] = int(values[name])
    for name in FRACTIONS:
        values[name] = float(values[name])
    return values
