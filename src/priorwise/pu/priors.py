"""Every estimator of the label frequency c, and the prior that follows from it.

All work on one table of held-out scores. The averages of Elkan & Noto (`e1`, `e2`, `e3`, also of
calibrated scores) need probabilities and are biased where classes overlap; the mixture estimators
(`bbe`, `kde_em`, `tice`) need only a good order of the scores, and their `median` is what we
recommend.

A mixture estimator finds alpha, the positive share of the unlabelled **held-out** rows. From the
held-out s then follows the held-out pi, and from both c = s / pi. c is what carries over to the
training table, whose own s gives the prior pi = s / c.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from priorwise.pu.calibration import CALIBRATIONS, fit_calibrator
from priorwise.pu.elkan_noto import e1, e2, e3
from priorwise.pu.mixture import bbe, kde_em, tice
from priorwise.pu.rates import alpha_of, class_prior
from priorwise.pu.score_table import ScoreTable

Estimator = Literal[
    "e1",
    "e2",
    "e3",
    "e1_temperature",
    "e1_platt",
    "e1_isotonic",
    "e2_temperature",
    "e2_platt",
    "e2_isotonic",
    "e3_temperature",
    "e3_platt",
    "e3_isotonic",
    "bbe",
    "kde_em",
    "tice",
    "median",
]
AVERAGES: dict[str, Callable[[ScoreTable], float]] = {"e1": e1, "e2": e2, "e3": e3}
MIXTURES: dict[str, Callable[[ScoreTable], float]] = {"bbe": bbe, "kde_em": kde_em, "tice": tice}
#: estimators whose calibrator is fitted on validation rows: name -> (average, calibration)
CALIBRATED = {f"{name}_{kind}": (name, kind) for name in AVERAGES for kind in CALIBRATIONS}
ESTIMATORS: tuple[str, ...] = get_args(Estimator)
#: their intervals show chance only: the bias of these is the same in every resample
VARIANCE_ONLY = (*AVERAGES, *CALIBRATED)


@dataclass(frozen=True)
class Estimate:
    """One estimate of c, with the labelled fraction s that it is applied to."""

    c: float
    s: float

    @property
    def pi(self) -> float:
        """Class prior s / c over all rows; nan without a c above 0."""
        return class_prior(self.s, self.c) if self.c > 0 else math.nan

    @property
    def alpha(self) -> float:
        """Positive share of the unlabelled rows."""
        return alpha_of(self.pi, self.s)


def c_of_alpha(alpha: float, s: float) -> float:
    """Label frequency from the positive share of the unlabelled rows of the same table.

    pi = s + (1 - s) alpha, and c = s / pi.

    Parameters
    ----------
    alpha : float
        In [0, 1].
    s : float
        Labelled fraction, in (0, 1).

    Returns
    -------
    float
        c, in [s, 1].
    """
    return s / (s + (1 - s) * alpha)


def label_frequencies(
    held_out: ScoreTable,
    names: Iterable[str] | None = None,
    *,
    validation: ScoreTable | None = None,
) -> dict[str, float]:
    """Label frequency c by each estimator.

    Parameters
    ----------
    held_out : ScoreTable
        Scores of a classifier of s on rows that it was neither trained nor chosen on.
    names : iterable of str, optional
        Which estimators; all if not given, the calibrated ones only if there is a `validation`.
    validation : ScoreTable, optional
        Rows that calibrators are fitted on; never the held-out ones.

    Returns
    -------
    dict of str -> float
        c, in [0, 1], in the order of `names`.

    Raises
    ------
    ValueError
        If a name is unknown, a calibrated estimator is asked for without a validation table, or a
        table lacks labelled or unlabelled rows.
    """
    if names is None:
        names = [n for n in ESTIMATORS if validation is not None or n not in CALIBRATED]
    wanted = list(names)
    unknown = [name for name in wanted if name not in ESTIMATORS]
    if unknown:
        raise ValueError(f"estimator: {unknown[0]!r} (expected one of {', '.join(ESTIMATORS)})")
    held_out.require_both()
    mixtures = {
        name: c_of_alpha(estimate(held_out), held_out.s)
        for name, estimate in MIXTURES.items()
        if name in wanted or "median" in wanted
    }
    calibrated = _calibrated(
        held_out, {CALIBRATED[n][1] for n in wanted if n in CALIBRATED}, validation
    )
    found = {}
    for name in wanted:
        if name in AVERAGES:
            found[name] = AVERAGES[name](held_out)
        elif name in CALIBRATED:
            average, kind = CALIBRATED[name]
            found[name] = AVERAGES[average](calibrated[kind])
        else:
            found[name] = median(mixtures.values()) if name == "median" else mixtures[name]
    return found


def _calibrated(
    held_out: ScoreTable, kinds: set[str], validation: ScoreTable | None
) -> dict[str, ScoreTable]:
    if not kinds:
        return {}
    if validation is None:
        raise ValueError("validation: a calibrated estimator needs validation rows")
    return {
        kind: held_out.with_scores(fit_calibrator(validation, kind)(held_out.score))
        for kind in CALIBRATIONS
        if kind in kinds
    }


def estimate_priors(
    held_out: ScoreTable, s: float, *, validation: ScoreTable | None = None
) -> dict[str, Estimate]:
    """Every estimator's prior, for a table whose labelled fraction is s.

    Parameters
    ----------
    held_out : ScoreTable
        As for `label_frequencies`.
    s : float
        Labelled fraction of the training table.
    validation : ScoreTable, optional
        As for `label_frequencies`.

    Returns
    -------
    dict of str -> Estimate
        In the order of `ESTIMATORS`. An estimate may be unfit (c <= s): see `rates.check_prior`.
    """
    if not 0 <= s < 1:
        raise ValueError(f"s: expected a fraction in [0, 1), got {s}")
    found = label_frequencies(held_out, validation=validation)
    return {name: Estimate(c, s) for name, c in found.items()}
