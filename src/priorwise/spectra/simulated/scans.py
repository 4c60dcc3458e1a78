"""Simulated MS1 scans: runs of acquisition cycles, scan numbers, and the peaks of each spectrum.

A data set has files of either polarity; a file is a run of cycles (data-dependent acquisition):
one MS1 scan, then the 3 to 8 MS2 scans it triggered. The MS1 spectrum of a cycle holds

* the base peak: one common contaminant of the polarity, in every scan;
* for each MS2 of the cycle the isotope envelope of its precursor, at m/z + 1.00336 k / z for
  k = 0, 1, 2 with averagine-like ratios. The selected ion m/z *is* the m/z of the monoisotopic
  peak that triggered the MS2, so a row's own peak is found by equality;
* N noise peaks, K of them below 150 Th (K and the shares: `generative`).

Then the published preprocessing: peaks under 1 % of the base peak go; where `max_peaks` is
exceeded the weakest M+1 and M+2 go; the square root of the counts is stored.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from priorwise.spectra.schema import POLARITIES
from priorwise.spectra.simulated.generative import LOW_MASS, MAX_SHARE, MIN_SHARE, Floats, Ints

POSITIVE_SHARE = 0.6  # of the rows, as in public data
FILES_PER_POLARITY = 2  # in each data set
MIN_CYCLE, MAX_CYCLE = 3, 8  # MS2 scans after one MS1 scan
ISOTOPE_STEP = 1.00336  # Th, for charge 1
BASE_PEAK_MZ = (255.23295, 391.28429)  # Th: palmitate (negative), dioctyl phthalate (positive)
NOISE_MZ = (60.0, 145.0, 152.0, 1250.0)  # Th: the two regions, below and above LOW_MASS
MAX_NOISE = 64
MASS_ERROR = 2e-6  # of the noise peaks taken from real spectra


@dataclass(frozen=True)
class NoisePool:
    """Peaks of real MS1 scans: m/z (Th, above 150) and share of their base peak, of one shape."""

    mz: Floats
    share: Floats


@dataclass(frozen=True)
class Runs:
    """Files and cycles of a table, rows in the order of acquisition.

    Attributes
    ----------
    source_files : list of (dataset_id, file name)
    file_positive : bool array of shape (n_files,)
        Positive ionisation mode.
    file_dataset : int64 array of shape (n_files,)
    scan_file : int64 array of shape (n_scans,)
        File of each MS1 scan.
    file, scan, ms1_scan_number, ms2_scan_number : int64 arrays of shape (n_rows,)
        File and MS1 scan of each MS2, by index, and the numbers both scans have in their file.
    """

    source_files: list[tuple[str, str]]
    file_positive: NDArray[np.bool_]
    file_dataset: Ints
    scan_file: Ints
    file: Ints
    scan: Ints
    ms1_scan_number: Ints
    ms2_scan_number: Ints


@dataclass(frozen=True)
class Spectra:
    """MS1 spectra: scan i has the peaks first[i] to first[i + 1], by ascending m/z (Th).

    `intensity` is the square root of counts.
    """

    first: Ints
    mz: NDArray[np.float32]
    intensity: NDArray[np.float32]


def lay_out(rng: np.random.Generator, n_rows: int, dataset_ids: list[str]) -> Runs:
    """Deal `n_rows` MS2 scans, 60 % in positive mode, to files and acquisition cycles."""
    n_positive = round(POSITIVE_SHARE * n_rows)
    n_files = len(dataset_ids) * FILES_PER_POLARITY
    source_files, positive, datasets, cycles = [], [], [], []
    for polarity, rows in zip(POLARITIES, (n_positive, n_rows - n_positive), strict=True):
        for i in range(n_files):
            size = rows // n_files + (i < rows % n_files)
            if size:
                d, k = i % len(dataset_ids), i // len(dataset_ids) + 1
                name = f"{dataset_ids[d]}_{polarity[:3]}_{k:02d}.mzML"
                source_files.append((dataset_ids[d], name))
                positive.append(polarity == "positive")
                datasets.append(d)
                cycles.append(_cycles(rng, size))
    start = rng.integers(1, 400, len(cycles))  # the first MS1 scan's number in its file
    per_scan = np.concatenate(cycles)
    scan_file = np.repeat(np.arange(len(cycles)), [x.size for x in cycles])
    scan = np.repeat(np.arange(per_scan.size), per_scan)
    before = np.cumsum(per_scan + 1) - (per_scan + 1)  # scans of either kind in all earlier cycles
    first_scan = np.searchsorted(scan_file, np.arange(len(cycles)))
    ms1 = before - before[first_scan][scan_file] + start[scan_file]
    place = np.arange(scan.size) - (np.cumsum(per_scan) - per_scan)[scan]
    return Runs(
        source_files=source_files,
        file_positive=np.array(positive),
        file_dataset=np.array(datasets),
        scan_file=scan_file,
        file=scan_file[scan],
        scan=scan,
        ms1_scan_number=ms1[scan],
        ms2_scan_number=ms1[scan] + 1 + place,
    )


def _cycles(rng: np.random.Generator, size: int) -> Ints:
    """MS2 scans of each cycle of a file; only the last cycle may be cut short by the run's end."""
    drawn = rng.integers(MIN_CYCLE, MAX_CYCLE + 1, size // MIN_CYCLE + 1)
    ends = np.minimum(np.cumsum(drawn), size)
    sizes = np.diff(ends, prepend=0)
    return sizes[sizes > 0]


def n_noise_peaks(max_peaks: int) -> int:
    """N, so small that base peak, noise and 8 precursors always fit into `max_peaks`."""
    return min(MAX_NOISE, max_peaks // 2 - 2)


def draw_spectra(
    rng: np.random.Generator,
    runs: Runs,
    precursor_mz: NDArray[np.float32],
    share: Floats,
    charge: Floats,
    n_low: Ints,
    max_peaks: int,
    pool: NoisePool | None,
) -> Spectra:
    """Draw the MS1 spectrum of every cycle.

    Parameters
    ----------
    rng : numpy.random.Generator
    runs : Runs
    precursor_mz, share, charge : arrays of shape (n_rows,)
        m/z (Th) of each row's monoisotopic peak, its share of the base peak (.0105 to .95) and
        its charge.
    n_low : int64 array of shape (n_scans,)
        Noise peaks below 150 Th, 0 to `n_noise_peaks(max_peaks)`.
    max_peaks : int
        Most peaks of a spectrum, at least 16.
    pool : NoisePool, optional
        Where noise above 150 Th comes from; uniform over 152 to 1250 Th if not given.
    """
    n_scans = runs.scan_file.size
    isotopes_mz, isotopes_share = _isotopes(rng, precursor_mz, share, charge)
    noise_scan, noise_mz, noise_share = _noise(rng, n_low, n_noise_peaks(max_peaks), pool)
    base_mz = np.array(BASE_PEAK_MZ)[runs.file_positive[runs.scan_file].astype(np.int64)]

    scan = np.concatenate([runs.scan, np.arange(n_scans), noise_scan, np.tile(runs.scan, 2)])
    mz = np.concatenate([precursor_mz, base_mz, noise_mz, isotopes_mz]).astype(np.float32)
    part = np.concatenate([share, np.ones(n_scans), noise_share, isotopes_share])
    optional = np.arange(scan.size) >= scan.size - isotopes_mz.size
    seen = part >= 0.01
    scan, mz, part, optional = scan[seen], mz[seen], part[seen], optional[seen]

    order = np.lexsort((-part, optional, scan))
    rank = np.empty(scan.size, np.int64)
    rank[order] = np.arange(scan.size) - np.searchsorted(scan[order], scan[order])
    kept = rank < max_peaks
    scan, mz, part = scan[kept], mz[kept], part[kept]

    mz = separate(scan, mz)
    order = np.lexsort((mz, scan))
    base_counts = 10 ** rng.normal(8.0, 0.4, n_scans)
    intensity = np.sqrt(base_counts[scan] * part)[order].astype(np.float32)
    first = np.searchsorted(scan[order], np.arange(n_scans + 1))
    return Spectra(first.astype(np.int64), mz[order], intensity)


def separate(scan: Ints, mz: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move peaks up by one float32 step each until no two of a scan have the same m/z.

    Of equal ones the first stays: a row's own peak must remain the only one at its precursor m/z.
    """
    mz = mz.copy()
    while True:
        order = np.lexsort((mz, scan))  # stable
        same = (np.diff(scan[order]) == 0) & (np.diff(mz[order]) == 0)
        if not same.any():
            return mz
        later = order[1:][same]
        mz[later] = np.nextafter(mz[later], np.float32(np.inf))


def _isotopes(
    rng: np.random.Generator, mz: NDArray[np.float32], share: Floats, charge: Floats
) -> tuple[Floats, Floats]:
    """M+1 of all rows, then M+2: m/z and share, from about 0.045 carbon atoms a Da."""
    one = 0.045 * mz.astype(np.float64) * charge * 0.0107 / 0.9893
    ratio = np.concatenate([one, one**2 / 2 + 0.004])
    ratio *= np.exp(rng.normal(0, 0.03, ratio.size))
    step = np.concatenate([ISOTOPE_STEP / charge, 2 * ISOTOPE_STEP / charge])
    # the contaminant stays the base peak, or the shares would not be what the spectrum shows
    return np.tile(mz.astype(np.float64), 2) + step, np.minimum(np.tile(share, 2) * ratio, 0.98)


def _noise(
    rng: np.random.Generator, n_low: Ints, n_noise: int, pool: NoisePool | None
) -> tuple[Ints, Floats, Floats]:
    """Scan, m/z and share of the noise peaks, `n_noise` of every scan."""
    scan = np.repeat(np.arange(n_low.size), n_noise)
    is_low = np.tile(np.arange(n_noise), n_low.size) < n_low[scan]
    u = rng.random(scan.size)
    low_from, low_to, high_from, high_to = NOISE_MZ
    mz = np.where(is_low, low_from + (low_to - low_from) * u, high_from + (high_to - high_from) * u)
    v = rng.beta(1.0, 2.0, scan.size)
    share = MIN_SHARE ** (1 - v) * MAX_SHARE**v
    if pool is not None:
        pick = np.minimum((u * pool.mz.size).astype(np.int64), pool.mz.size - 1)
        jitter = np.clip(rng.normal(0, MASS_ERROR, scan.size), -5 * MASS_ERROR, 5 * MASS_ERROR)
        real = np.maximum(pool.mz[pick] * (1 + jitter), LOW_MASS + 0.01)
        mz = np.where(is_low, mz, real)
        share = np.where(is_low, share, pool.share[pick])
    return scan, mz, share
