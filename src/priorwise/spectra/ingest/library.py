"""Which MS2 scans a spectral library identifies: the rule behind label 1.

A scan is labelled if at least one library spectrum of its polarity, with a precursor within
0.05 Da, has a greedy cosine of at least 0.7 **and** at least 6 matched peaks in that same
comparison. Scan peaks are filtered (`preprocess.filter_query`), library peaks are not, and every
entry in the window counts.

The peaks wait in a temporary file and only an index stays in memory, so that a library of half a
million spectra costs some tens of megabytes.
"""

import json
import os
import tempfile
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matchms.similarity.spectrum_similarity_functions import (
    collect_peak_pairs,
    score_best_matches,
)
from numpy.typing import ArrayLike, NDArray

from priorwise.errors import BadInput
from priorwise.spectra.ingest.library_formats import LibraryEntry, Match, iter_entries
from priorwise.spectra.ingest.streams import OnBytes
from priorwise.spectra.preprocess import filter_query
from priorwise.spectra.schema import POLARITIES

PRECURSOR_TOLERANCE = 0.05  # Da
PEAK_TOLERANCE = 0.05  # Da
MIN_COSINE = 0.7
MIN_MATCHES = 6
#: candidates compared at a time, which bounds the memory of a crowded window
_CHUNK = 256


@dataclass(frozen=True)
class LibraryCounts:
    """Entries of a library: used per polarity, and left out with the reason."""

    positive: int
    negative: int
    without_precursor: int
    without_polarity: int
    without_peaks: int


def cosine_greedy(
    reference: NDArray[np.float64],
    query: NDArray[np.float64],
    tolerance: float = PEAK_TOLERANCE,
) -> tuple[float, int]:
    """Greedy cosine of two spectra: `matchms.similarity.CosineGreedy` with its default powers.

    Parameters
    ----------
    reference, query : numpy.ndarray of shape (n_peaks, 2), float64
        m/z (ascending, Th) and intensity.
    tolerance : float
        In Da.

    Returns
    -------
    cosine : float
        In [0, 1].
    matched_peaks : int
    """
    if not len(reference) or not len(query):
        return 0.0, 0
    pairs = collect_peak_pairs(reference, query, tolerance, 0.0, 0.0, 1.0)
    if pairs is None:
        return 0.0, 0
    pairs = pairs[np.argsort(pairs[:, 2], kind="mergesort")[::-1], :]
    score, matches = score_best_matches(pairs, reference, query, 0.0, 1.0)
    return float(score), int(matches)


class _Index:
    """Precursors of one polarity and where each entry lies in the peak file."""

    def __init__(self) -> None:
        self.precursor = array("d")
        self.start = array("q")
        self.n_peaks = array("l")
        self.n_about = array("l")

    def sorted(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        precursor = np.array(self.precursor, dtype=np.float64)
        where = np.array([self.start, self.n_peaks, self.n_about], dtype=np.int64).T
        order = np.argsort(precursor, kind="stable")
        return precursor[order], where.reshape(-1, 3)[order]


class Library:
    """A spectral library, searched by polarity and precursor m/z.

    Parameters
    ----------
    path : str or pathlib.Path
        An MGF or MSP file, plain or gzip.
    scratch : str or pathlib.Path, optional
        Folder for the temporary peak file (the system's own if not given).
    on_bytes : callable, optional
        Called with the bytes of the file that were read since the last call.
    max_decompressed_bytes : int, optional
        See `ingest.streams.ByteStream`.

    Raises
    ------
    BadInput
        If the file is damaged or has no usable entry.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        scratch: str | Path | None = None,
        on_bytes: OnBytes | None = None,
        max_decompressed_bytes: int | None = None,
    ) -> None:
        self._file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed by `close`
        try:
            left_out = {"without_precursor": 0, "without_polarity": 0, "without_peaks": 0}
            indices = {polarity: _Index() for polarity in POLARITIES}
            for entry in iter_entries(
                path, max_decompressed_bytes=max_decompressed_bytes, on_bytes=on_bytes
            ):
                if entry.precursor_mz is None:
                    left_out["without_precursor"] += 1
                elif entry.polarity is None:
                    left_out["without_polarity"] += 1
                elif not len(entry.peaks):
                    left_out["without_peaks"] += 1
                else:
                    self._add(indices[entry.polarity], entry.precursor_mz, entry)
            self._file.flush()
            self._index = {polarity: index.sorted() for polarity, index in indices.items()}
            used = {polarity: len(index[0]) for polarity, index in self._index.items()}
            self.counts = LibraryCounts(**used, **left_out)
            if not sum(used.values()):
                raise BadInput(f"{path}: no entry with a precursor m/z, a polarity and peaks")
        except BaseException:
            self._file.close()
            raise

    def _add(self, index: _Index, precursor_mz: float, entry: LibraryEntry) -> None:
        about = json.dumps([entry.accession, entry.compound_name, entry.license]).encode()
        index.precursor.append(precursor_mz)
        index.start.append(self._file.tell())
        index.n_peaks.append(len(entry.peaks))
        index.n_about.append(len(about))
        self._file.write(entry.peaks.tobytes())
        self._file.write(about)

    def best_match(
        self, polarity: str, precursor_mz: float, mz: ArrayLike, intensity: ArrayLike
    ) -> Match | None:
        """Find the hit of highest cosine among those that satisfy the rule.

        Parameters
        ----------
        polarity : str
            "positive" or "negative".
        precursor_mz : float
            In Th.
        mz, intensity : array_like of shape (n_peaks,)
            The MS2 scan as read, unfiltered.

        Returns
        -------
        Match or None
            None if no entry satisfies the rule: the row stays unlabelled. Of equal cosines the
            entry of lower precursor m/z, then the earlier one in the file, is reported.
        """
        query = np.stack(filter_query(mz, intensity), axis=1)
        if len(query) < MIN_MATCHES:
            return None
        precursors, where = self._index[polarity]
        # a little wider than the tolerance; the exact test is the subtraction itself
        margin = 1.01 * PRECURSOR_TOLERANCE
        low, high = np.searchsorted(precursors, [precursor_mz - margin, precursor_mz + margin])
        inside = np.abs(precursors[low:high] - precursor_mz) <= PRECURSOR_TOLERANCE
        candidates = where[low:high][inside]
        best: tuple[float, int, int] | None = None
        for begin in range(0, len(candidates), _CHUNK):
            chunk = candidates[begin : begin + _CHUNK]
            spectra = [self._peaks(start, n_peaks) for start, n_peaks, _ in chunk]
            for offset in _can_reach(spectra, query[:, 0]):
                cosine, matches = cosine_greedy(spectra[offset], query)
                hit = cosine >= MIN_COSINE and matches >= MIN_MATCHES
                if hit and (best is None or cosine > best[0]):
                    best = (cosine, matches, begin + int(offset))
        if best is None:
            return None
        accession, name, license_ = self._about(*candidates[best[2]])
        return Match(accession, name, license_, best[0], best[1])

    def _peaks(self, start: int, n_peaks: int) -> NDArray[np.float64]:
        data = os.pread(self._file.fileno(), 16 * n_peaks, start)
        return np.frombuffer(data, dtype=np.float64).reshape(-1, 2)

    def _about(self, start: int, n_peaks: int, n_about: int) -> tuple[str, str, str]:
        data = os.pread(self._file.fileno(), n_about, start + 16 * n_peaks)
        accession, name, license_ = json.loads(data)
        return accession, name, license_

    def close(self) -> None:
        """Remove the temporary peak file."""
        self._file.close()

    def __enter__(self) -> "Library":
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the temporary peak file."""
        self.close()


def _can_reach(
    spectra: list[NDArray[np.float64]], query_mz: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Candidates with at least 6 peaks near a query peak; the others cannot match 6.

    Not an approximation: each match uses up one library peak that has a query peak within the
    tolerance (compared in the same floating-point expression as matchms does).
    """
    mz = np.concatenate([spectrum[:, 0] for spectrum in spectra])
    near = np.searchsorted(query_mz, mz + PEAK_TOLERANCE, side="right") > np.searchsorted(
        query_mz, mz - PEAK_TOLERANCE, side="left"
    )
    starts = np.cumsum([0] + [len(spectrum) for spectrum in spectra[:-1]])
    return np.flatnonzero(np.add.reduceat(near.astype(np.int64), starts) >= MIN_MATCHES)
