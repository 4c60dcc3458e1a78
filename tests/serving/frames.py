"""Data frames for the tests of the pyfunc model."""

import numpy as np
import pandas as pd


def table_frame(n: int = 12, seed: int = 0, longest: int = 30) -> pd.DataFrame:
    """Sound rows as of a table, both polarities, spectra of unequal length."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, longest, n)
    settings = rng.normal(size=(n, 22))
    settings[:, 14:] = 0
    settings[np.arange(n), 14 + rng.integers(0, 2, n)] = 1
    return pd.DataFrame(
        {
            "mz_array": [np.sort(rng.uniform(80, 1000, size)).tolist() for size in sizes],
            "intensity_array": [rng.uniform(10, 3000, size).tolist() for size in sizes],
            "precursor_mz": rng.uniform(100, 900, n),
            "instrument_settings": settings.tolist(),
        }
    )


def raw_frame(n: int = 8, seed: int = 0) -> pd.DataFrame:
    """Rows as an instrument gives them: counts, named settings, polarity."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "mz_array": [np.sort(rng.uniform(80, 1000, 600)).tolist() for _ in range(n)],
            "intensity_array": [rng.lognormal(8, 2, 600).tolist() for _ in range(n)],
            "precursor_mz": rng.uniform(100, 900, n),
            "polarity": ["positive", "negative"] * (n // 2),
            "MS2 Isolation Width": rng.uniform(0.4, 3, n),
            "Charge State": rng.integers(0, 3, n).astype(float),
            "Ionization": ["ESI", None] * (n // 2),
        }
    )
    return frame
