"""From candidates to lines: probabilities in chunks of bounded size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.saved_model import SavedModel
from priorwise.spectra.score.candidates import Candidate

#: most candidates of a chunk, and most peaks of it padded to its longest spectrum: a forward pass
#: over 8,000 peaks of the published network takes some 80 MB
CHUNK_ROWS, CHUNK_PEAKS = 512, 8000
#: significant digits of a probability: float32 arithmetic has fewer
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Line:
    """What is written of an MS2 scan.

    Attributes
    ----------
    candidate : Candidate
    probability : float or None
        P(identifiable), to 9 significant digits; None if the scan cannot be scored.
    identifiable : bool or None
        Whether the probability, before rounding, is at least the threshold.
    """

    candidate: Candidate
    probability: float | None
    identifiable: bool | None


def score_candidates(
    candidates: Iterable[Candidate], model: SavedModel, threshold: float
) -> Iterator[list[Line]]:
    """Score candidates, a chunk at a time, in their order.

    The chunks depend on the candidates alone, so that the same file always gives the same bits.

    Parameters
    ----------
    candidates : iterable of Candidate
    model : SavedModel
    threshold : float
        In [0, 1].

    Yields
    ------
    list of Line
    """
    for chunk in _chunks(candidates):
        sound = [candidate for candidate in chunk if not candidate.reason]
        scores = iter(probabilities(model.network, _rows(sound)) if sound else ())
        lines = []
        for candidate in chunk:
            if candidate.reason:
                lines.append(Line(candidate, None, None))
            else:
                p = float(next(scores))
                lines.append(Line(candidate, float(f"{p:.{DIGITS}g}"), p >= threshold))
        yield lines


def _chunks(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    chunk: list[Candidate] = []
    n_sound = longest = 0
    for candidate in candidates:
        n, wide = n_sound + (not candidate.reason), max(longest, len(candidate.mz))
        if chunk and (len(chunk) >= CHUNK_ROWS or n * wide > CHUNK_PEAKS):
            yield chunk
            chunk, n, wide = [], int(not candidate.reason), len(candidate.mz)
        chunk.append(candidate)
        n_sound, longest = n, wide
    if chunk:
        yield chunk


def _rows(sound: list[Candidate]) -> SpectraRows:
    n = len(sound)
    sizes = [len(candidate.mz) for candidate in sound]
    precursor = [candidate.precursor_mz for candidate in sound]
    return SpectraRows(
        {
            "mz": np.concatenate([candidate.mz for candidate in sound]),
            "intensity": np.concatenate([candidate.intensity for candidate in sound]),
            "sizes": np.array(sizes, dtype=np.int64),
            "settings": np.stack([candidate.settings for candidate in sound]).astype(np.float32),
            "precursor_mz": np.array(precursor, dtype=np.float32),
            "s": np.zeros(n, dtype=np.float32),
            "row": np.arange(n),
        }
    )
