"""The 22 instrument settings: from what a run states, over z-scores, to the table's floats.

A setting that a run does not state is *missing*: NaN here, 0 in the table (the training mean, or
neither value of a one-hot pair), and flagged in a sidecar table. It never becomes "negative" or
"Off".
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from priorwise.errors import BadInput
from priorwise.spectra.schema import (
    CATEGORICAL_SETTINGS,
    LARGEST,
    N_SETTINGS,
    NUMERIC_SETTINGS,
)

#: what a reader hands over: setting name -> number, or value of a category
NamedSettings = Mapping[str, float | str]

N_NUMERIC = len(NUMERIC_SETTINGS)
#: the 18 settings behind the 22 floats, in table order
SETTING_NAMES = (*NUMERIC_SETTINGS, *CATEGORICAL_SETTINGS)
STATS_FILE = "settings_stats.json"
#: key of the same text in the metadata of an ingested table's schema
STATS_METADATA = b"priorwise.settings_stats"


def raw_settings(named: NamedSettings) -> NDArray[np.float64]:
    """Lay named settings out in table order, not yet z-scored.

    Parameters
    ----------
    named : mapping of str to float or str
        Names of `schema.NUMERIC_SETTINGS` and `schema.CATEGORICAL_SETTINGS`; any may be absent.
        A charge of 0 means "unknown", and a number that is not finite or beyond `schema.LARGEST`
        means nothing: both are missing. So is a category that is neither of the pair (APCI is
        neither NSI nor ESI). The sign of a charge is the polarity's business: its magnitude is
        stored.

    Returns
    -------
    numpy.ndarray of shape (22,), float64
        NaN where missing.

    Raises
    ------
    BadInput
        If a name is not a setting.
    """
    unknown = set(named).difference(SETTING_NAMES)
    if unknown:
        raise BadInput(f"{sorted(unknown)[0]!r} is not an instrument setting")
    raw = np.full(N_SETTINGS, np.nan)
    for index, name in enumerate(NUMERIC_SETTINGS):
        if name in named:
            value = float(named[name])
            raw[index] = value if abs(value) <= LARGEST else np.nan
    charge = NUMERIC_SETTINGS.index("Charge State")
    raw[charge] = abs(raw[charge]) or np.nan
    for pair, (name, values) in enumerate(CATEGORICAL_SETTINGS.items()):
        if named.get(name) in values:
            start = N_NUMERIC + 2 * pair
            raw[start : start + 2] = [float(named[name] == value) for value in values]
    return raw


def missing_settings(raw: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the 18 settings each row lacks.

    Parameters
    ----------
    raw : numpy.ndarray of shape (n_rows, 22)
        As `raw_settings` gives them.

    Returns
    -------
    numpy.ndarray of shape (n_rows, 18), bool
        Columns as `SETTING_NAMES`.
    """
    absent = np.isnan(raw)
    return np.concatenate([absent[:, :N_NUMERIC], absent[:, N_NUMERIC::2]], axis=1)


@dataclass(frozen=True)
class SettingsStats:
    """Mean and standard deviation of the 14 numeric settings, and the rows they come from.

    Parameters
    ----------
    mean, std : tuple of 14 floats
        Of the rows that state the setting (population standard deviation); 0 and 1 if none does,
        and `std` is 1 where it would be 0.
    n_known : tuple of 14 ints
        Rows that state the setting.
    n_rows : int
        Rows looked at.
    source : str
        Which rows: "train_data", or "all rows" where there is no training table.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_known: tuple[int, ...]
    n_rows: int
    source: str

    def to_json(self) -> str:
        """Serialise the statistics as JSON text, with the names of the settings."""
        return json.dumps({"settings": list(NUMERIC_SETTINGS), **asdict(self)}, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str = STATS_FILE) -> "SettingsStats":
        """Read what `to_json` wrote.

        Raises
        ------
        BadInput
            If it is not such a text, naming `where`.
        """
        try:
            data = json.loads(text)
            if data["settings"] != list(NUMERIC_SETTINGS):
                raise BadInput(f"{where}: its settings are not those of this version")
            stats = cls(
                mean=tuple(float(v) for v in data["mean"]),
                std=tuple(float(v) for v in data["std"]),
                n_known=tuple(int(v) for v in data["n_known"]),
                n_rows=int(data["n_rows"]),
                source=str(data["source"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{where}: not statistics of instrument settings ({error})") from error
        sound = all(len(part) == N_NUMERIC for part in (stats.mean, stats.std, stats.n_known))
        if not sound or not np.isfinite([stats.mean, stats.std]).all() or min(stats.std) <= 0:
            raise BadInput(f"{where}: expected {N_NUMERIC} finite means and std > 0")
        return stats

    @classmethod
    def load(cls, folder: str | Path) -> "SettingsStats":
        """Read the statistics stored with the tables of a data folder.

        Raises
        ------
        BadInput
            If there are none.
        """
        path = Path(folder, STATS_FILE)
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: cannot be read ({error})") from error


class RunningStats:
    """Mean and variance of the numeric settings in one pass (Chan, Golub & LeVeque 1979)."""

    def __init__(self) -> None:
        self._n = np.zeros(N_NUMERIC, dtype=np.int64)
        self._mean = np.zeros(N_NUMERIC)
        self._m2 = np.zeros(N_NUMERIC)
        self._rows = 0

    def update(self, raw: NDArray[np.float64]) -> None:
        """Take in rows of shape (n_rows, 22); NaN is left out."""
        values = raw[:, :N_NUMERIC]
        known = ~np.isnan(values)
        n = known.sum(axis=0)
        mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(n, 1)
        self._combine(n, mean, (np.where(known, values - mean, 0.0) ** 2).sum(axis=0), len(raw))

    def merge(self, other: "RunningStats") -> None:
        """Take in the rows of another."""
        self._combine(other._n, other._mean, other._m2, other._rows)

    def _combine(
        self, n: NDArray[np.int64], mean: NDArray[np.float64], m2: NDArray[np.float64], rows: int
    ) -> None:
        total = self._n + n
        shift = mean - self._mean
        share = n / np.maximum(total, 1)
        self._m2 = self._m2 + m2 + shift**2 * self._n * share
        self._mean = self._mean + shift * share
        self._n = total
        self._rows += rows

    def result(self, source: str) -> SettingsStats:
        """Give the statistics of all rows so far."""
        std = np.sqrt(self._m2 / np.maximum(self._n, 1))
        # a constant column leaves rounding noise, which z-scoring would blow up
        std[std <= 1e-9 * np.abs(self._mean)] = 0.0
        std[std == 0] = 1.0
        return SettingsStats(
            mean=tuple(self._mean.tolist()),
            std=tuple(std.tolist()),
            n_known=tuple(self._n.tolist()),
            n_rows=self._rows,
            source=source,
        )


def normalise(raw: NDArray[np.float64], stats: SettingsStats) -> NDArray[np.float32]:
    """Turn raw settings into the 22 floats of the table.

    Parameters
    ----------
    raw : numpy.ndarray of shape (n_rows, 22)
        As `raw_settings` gives them, NaN where missing.
    stats : SettingsStats
        Of the training rows.

    Returns
    -------
    numpy.ndarray of shape (n_rows, 22), float32
        z-scores and one-hot pairs; 0 where missing, and where no training row states the setting:
        there is no scale for it, and nothing was learned from it.
    """
    out = raw.copy()
    out[:, :N_NUMERIC] = (out[:, :N_NUMERIC] - np.array(stats.mean)) / np.array(stats.std)
    if stats.n_rows:  # of published statistics the counts are not known
        out[:, :N_NUMERIC][:, np.array(stats.n_known) == 0] = 0.0
    return np.nan_to_num(out, nan=0.0).astype(np.float32)
