"""One simulated table in memory: classes, labels, settings, spectra, and the exact score."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from priorwise.spectra.schema import NUMERIC_SETTINGS
from priorwise.spectra.settings import SettingsStats, normalise
from priorwise.spectra.simulated.generative import (
    AGC_TARGET,
    CHARGE,
    ENERGY,
    INJECTION_D,
    INJECTION_MEAN,
    INJECTION_STD,
    ISOLATION_WIDTH,
    PRECURSOR,
    Features,
    Floats,
    Ints,
    draw_features,
    inverse_cdf,
    log_likelihood_ratio,
    noise_law,
)
from priorwise.spectra.simulated.scans import (
    POSITIVE_SHARE,
    NoisePool,
    Runs,
    Spectra,
    draw_spectra,
    lay_out,
    n_noise_peaks,
    separate,
)

MASS_DEFECT, DEFECT_STD, DEFECT_LIMIT = 4.5e-4, 0.03, 0.2  # per Th of nominal mass; Th; Th
RESOLUTIONS = np.array([7500.0, 15000.0, 17500.0, 30000.0, 35000.0])
HCD_MULTIPLES = (0.52, 0.94, 1.48)  # HCD Energy(1..3) over Energy1, near the published means
CONVERSION_C = (5.83e6, 1.61e8)  # mean and std over files, the published figures
LOCK_MASS = (-0.077, 0.656)  # ppm; mean and std, the published figures


@dataclass(frozen=True)
class SimulatedRows:
    """A whole table, rows in the order they are written.

    Attributes
    ----------
    runs : Runs
        Files, scan numbers, and the MS1 scan of each row.
    spectra : Spectra
        The MS1 scans' peaks.
    positive : bool array of shape (n_rows,)
        Positive ionisation mode.
    y, s : int64 arrays of shape (n_rows,)
        True class; labelled or not.
    bayes_score : float64 array of shape (n_rows,)
        P(y=1 | row), exact.
    settings : float32 array of shape (n_rows, 22)
    precursor_mz : float32 array of shape (n_rows,), Th
    compound : int64 array of shape (n_rows,)
        Number in the compound's name, used where labelled.
    """

    runs: Runs
    spectra: Spectra
    positive: NDArray[np.bool_]
    y: Ints
    s: Ints
    bayes_score: Floats
    settings: NDArray[np.float32]
    precursor_mz: NDArray[np.float32]
    compound: Ints


def simulate_rows(
    rng: np.random.Generator,
    n_rows: int,
    dataset_ids: list[str],
    pi: dict[str, float],
    c: dict[str, float],
    max_peaks: int,
    pool: NoisePool | None = None,
) -> SimulatedRows:
    """Draw one table from its own random stream.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_rows : int
        Rows; 60 % of them, rounded, are in positive mode.
    dataset_ids : list of str
        The table's data sets.
    pi, c : dict
        Class prior and label frequency by polarity ("positive", "negative").
    max_peaks : int
        Most peaks of a spectrum, at least 16.
    pool : NoisePool, optional
        Real peaks to take the noise above 150 Th from.
    """
    runs = lay_out(rng, n_rows, dataset_ids)
    positive = runs.file_positive[runs.file]
    n_low, logit = _draw_noise_count(rng, runs, pi, n_noise_peaks(max_peaks))
    y = (rng.random(n_rows) < _sigmoid(logit)).astype(np.int64)
    features = draw_features(rng, y)
    frequency = np.where(positive, c["positive"], c["negative"])
    s = y * (rng.random(n_rows) < frequency)  # SCAR: only y and the polarity count

    nominal = PRECURSOR.values[features.nominal]
    defect = np.clip(rng.normal(0, DEFECT_STD, n_rows), -DEFECT_LIMIT, DEFECT_LIMIT)
    precursor_mz = (nominal * (1 + MASS_DEFECT) + defect).astype(np.float32)
    precursor_mz = separate(runs.scan, precursor_mz)
    settings = _draw_settings(rng, features, runs, pi)
    spectra = draw_spectra(
        rng,
        runs,
        precursor_mz,
        features.share,
        CHARGE.values[features.charge],
        n_low,
        max_peaks,
        pool,
    )
    return SimulatedRows(
        runs=runs,
        spectra=spectra,
        positive=positive,
        y=y,
        s=s,
        bayes_score=_sigmoid(logit + log_likelihood_ratio(features)),
        settings=settings,
        precursor_mz=precursor_mz,
        compound=rng.integers(0, 1000, n_rows),
    )


def _sigmoid(x: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-x))
    return result


def _draw_noise_count(
    rng: np.random.Generator, runs: Runs, pi: dict[str, float], n_noise: int
) -> tuple[Ints, Floats]:
    """K of each MS1 scan, and logit P(y=1 | K) of each row.

    The scans of a polarity take stratified quantiles of K's law: rows of one scan share K, and
    without the strata the realised share of positives would scatter more than that of as many
    independent rows, which is what users compare estimates with.
    """
    law = noise_law(n_noise)
    n_low = np.empty(runs.scan_file.size, np.int64)
    prior = np.where(runs.file_positive, pi["positive"], pi["negative"])
    for polarity, mode in (("positive", True), ("negative", False)):
        scans = np.flatnonzero(runs.file_positive[runs.scan_file] == mode)
        u = (rng.permutation(scans.size) + rng.random(scans.size)) / max(scans.size, 1)
        n_low[scans] = inverse_cdf(
            pi[polarity] * law.probability[1] + (1 - pi[polarity]) * law.probability[0], u
        )
    prior = prior[runs.file]
    return n_low, np.log(prior / (1 - prior)) + law.log_ratio(n_low[runs.scan])


def settings_statistics(pi: dict[str, float], n_rows: int) -> SettingsStats:
    """Mean and standard deviation behind the z-scores, from the laws rather than from a sample.

    So they do not change with the size of a table, and rows of one table not with another's.

    Parameters
    ----------
    pi : dict
        Class prior by polarity.
    n_rows : int
        Rows of the training table, for the record.
    """
    share = POSITIVE_SHARE * pi["positive"] + (1 - POSITIVE_SHARE) * pi["negative"]
    shift = INJECTION_STD * INJECTION_D
    energy = ENERGY.moments(share)
    moments = {
        "MS2 Isolation Width": ISOLATION_WIDTH.moments(share),
        "Charge State": CHARGE.moments(share),
        "Ion Injection Time (ms)": (
            INJECTION_MEAN + shift * (0.5 - share),
            math.sqrt(INJECTION_STD**2 + shift**2 * share * (1 - share)),
        ),
        "Conversion Parameter C": CONVERSION_C,
        "Energy1": energy,
        "Orbitrap Resolution": (float(RESOLUTIONS.mean()), float(RESOLUTIONS.std())),
        "AGC Target": AGC_TARGET.moments(share),
        "HCD Energy(4)": (0.0, 1.0),  # constants have std 1, as in the published statistics
        "HCD Energy(5)": (0.0, 1.0),
        "LM m/z-Correction (ppm)": LOCK_MASS,
        "Micro Scan Count": (1.0, 1.0),
    }
    for i, multiple in enumerate(HCD_MULTIPLES, start=1):
        moments[f"HCD Energy({i})"] = (multiple * energy[0], multiple * energy[1])
    return SettingsStats(
        mean=tuple(moments[name][0] for name in NUMERIC_SETTINGS),
        std=tuple(moments[name][1] for name in NUMERIC_SETTINGS),
        n_known=(n_rows,) * len(NUMERIC_SETTINGS),
        n_rows=n_rows,
        source="the simulator's laws",
    )


def _draw_settings(
    rng: np.random.Generator, features: Features, runs: Runs, pi: dict[str, float]
) -> NDArray[np.float32]:
    n_rows, n_files = runs.file.size, runs.file_positive.size
    dataset = runs.file_dataset[runs.file]
    n_datasets = int(runs.file_dataset.max()) + 1
    energy = ENERGY.values[features.energy]
    numbers = {
        "MS2 Isolation Width": ISOLATION_WIDTH.values[features.isolation_width],
        "Charge State": CHARGE.values[features.charge],
        "Ion Injection Time (ms)": features.injection_time,
        "Conversion Parameter C": rng.normal(*CONVERSION_C, n_files)[runs.file],
        "Energy1": energy,
        "Orbitrap Resolution": rng.choice(RESOLUTIONS, n_datasets)[dataset],
        "AGC Target": AGC_TARGET.values[features.agc_target],
        "HCD Energy(4)": np.zeros(n_rows),
        "HCD Energy(5)": np.zeros(n_rows),
        "LM m/z-Correction (ppm)": rng.normal(*LOCK_MASS, n_rows),
        "Micro Scan Count": np.ones(n_rows),
    }
    for i, multiple in enumerate(HCD_MULTIPLES, start=1):
        numbers[f"HCD Energy({i})"] = multiple * energy
    odd = (  # second value of each pair: positive, ESI, trapping on, HCD
        runs.file_positive[runs.file],
        (rng.random(n_datasets) < 0.7)[dataset],
        (rng.random(n_datasets) < 0.5)[dataset],
        rng.random(n_rows) < 0.95,
    )
    pairs = [column for second in odd for column in (~second, second)]
    raw = np.column_stack([*(numbers[name] for name in NUMERIC_SETTINGS), *pairs])
    return normalise(raw.astype(np.float64), settings_statistics(pi, n_rows))
