"""Real MS1 peaks as the noise of simulated spectra."""

import numpy as np
import pyarrow as pa
import pyarrow.types as types

from priorwise.errors import BadInput
from priorwise.spectra.simulated.generative import LOW_MASS, MAX_SHARE, MIN_SHARE
from priorwise.spectra.simulated.scans import NoisePool
from priorwise.store.tables import open_pinned, scan

MAX_POOL = 200_000  # peaks; taken from the table's start
MIN_POOL = 50
MAX_MZ = 1500.0  # Th


def read_noise_pool(backgrounds: str) -> NoisePool | None:
    """Peaks of a spectra table that may serve as noise: above 150 Th, 1 to 95 % of their base peak.

    Consecutive rows of one MS1 scan count once. The peaks know nothing of a simulated row's class,
    so they leave the Bayes score exact.

    Parameters
    ----------
    backgrounds : str
        "none", or the address of a table of the spectra contract.

    Returns
    -------
    NoisePool or None
        None for "none".

    Raises
    ------
    BadInput
        If there is no such table, it lacks the peaks, or fewer than 50 of them can be used.
    """
    if backgrounds == "none":
        return None
    table = open_pinned(backgrounds)
    for name in ("mz_array", "intensity_array"):
        kind = table.schema.field(name).type if name in table.schema.names else None
        is_list = kind is not None and (
            types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        )
        if not is_list:
            raise BadInput(f"{backgrounds}: column {name} of peak lists is missing (backgrounds)")
    mz_parts: list[np.ndarray] = []
    share_parts: list[np.ndarray] = []
    found, before = 0, np.empty(0)
    for batch in scan(table, ["mz_array", "intensity_array"]):
        rows = zip(_rows(batch, "mz_array"), _rows(batch, "intensity_array"), strict=True)
        for mz, root_intensity in rows:
            if mz.size != root_intensity.size:
                raise BadInput(
                    f"{backgrounds}: a row has {mz.size} m/z values but "
                    f"{root_intensity.size} intensities (backgrounds)"
                )
            if mz.size == 0 or np.array_equal(mz, before) or not root_intensity.max() > 0:
                continue
            before = mz
            share = (root_intensity / root_intensity.max()) ** 2
            good = (mz > LOW_MASS) & (mz < MAX_MZ) & (share >= MIN_SHARE) & (share <= MAX_SHARE)
            mz_parts.append(mz[good])
            share_parts.append(share[good])
            found += int(good.sum())
        if found >= MAX_POOL:
            break
    if found < MIN_POOL:
        raise BadInput(
            f"{backgrounds}: only {found} peaks can serve as noise (backgrounds needs {MIN_POOL} "
            f"between {LOW_MASS:g} and {MAX_MZ:g} Th, of 1 to 95 % of their base peak)"
        )
    return NoisePool(np.concatenate(mz_parts)[:MAX_POOL], np.concatenate(share_parts)[:MAX_POOL])


def _rows(batch: pa.RecordBatch, name: str) -> list[np.ndarray]:
    return [np.asarray(row or [], dtype=np.float64) for row in batch.column(name).to_pylist()]
