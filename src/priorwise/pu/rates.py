"""The rates of a PU table, and from a labelled fraction and a label frequency to the prior.

Vocabulary (Elkan & Noto 2008, "Learning classifiers from only positive and unlabeled data"):
`s` = P(s=1), labelled fraction of all rows; `c` = P(s=1 | y=1), label frequency;
`pi` = P(y=1), class prior over **all** rows; `alpha` = P(y=1 | s=0), positive share of the
unlabelled rows.
"""

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ClassPrior:
    """The prior of one polarity, as the risks use it.

    Parameters
    ----------
    pi : float
        P(y=1) over all rows, in (0, 1).
    s : float
        P(s=1) over all rows, in (0, pi].

    Raises
    ------
    ValueError
        If the two cannot both be true; the message names every reason.
    """

    pi: float
    s: float

    def __post_init__(self) -> None:
        """Refuse what cannot be true."""
        reasons = check_prior(self.s, self.c, self.pi)
        if reasons:
            raise ValueError("prior is unfit: " + "; ".join(reasons))

    @property
    def c(self) -> float:
        """Label frequency P(s=1 | y=1) = s / pi."""
        return self.s / self.pi if self.pi else math.nan

    @property
    def alpha(self) -> float:
        """Positive share of the unlabelled rows."""
        return alpha_of(self.pi, self.s)


@dataclass(frozen=True)
class PolarityPriors:
    """One prior per ionisation mode; None for a mode that is not trained on."""

    positive: ClassPrior | None = None
    negative: ClassPrior | None = None

    def __post_init__(self) -> None:
        """Refuse to stand for no polarity."""
        if self.positive is None and self.negative is None:
            raise ValueError("priors: at least one of `positive` and `negative` is needed")

    def of(self, positive_mode: bool) -> ClassPrior:
        """Prior of one mode.

        Raises
        ------
        ValueError
            If there is none: rows of that mode must not reach the risk.
        """
        prior = self.positive if positive_mode else self.negative
        if prior is None:
            name = "positive" if positive_mode else "negative"
            raise ValueError(f"priors: rows of {name} mode, but no prior for it")
        return prior


def class_prior(s: float, c: float) -> float:
    """Class prior pi = s / c.

    From P(s=1) = P(s=1 | y=1) P(y=1), Elkan & Noto 2008, section 2, under selected completely at
    random. `s` and `c` must describe the same population.

    Parameters
    ----------
    s : float
        Labelled fraction of all rows, in [0, 1]; a fraction, not a percentage.
    c : float
        Label frequency, in (0, 1].

    Returns
    -------
    float
        pi. Above 1 if c < s, which `check_prior` reports.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.
    """
    if not 0 <= s <= 1:
        raise ValueError(f"s: expected a fraction in [0, 1], got {s}")
    if not 0 < c <= 1:
        raise ValueError(f"c: expected a label frequency in (0, 1], got {c}")
    return s / c


@overload
def alpha_of(pi: float, s: float) -> float: ...
@overload
def alpha_of(pi: FloatArray, s: FloatArray) -> FloatArray: ...
def alpha_of(pi: float | FloatArray, s: float | FloatArray) -> float | FloatArray:
    """Positive share of the unlabelled rows, alpha = (pi - s) / (1 - s).

    Parameters
    ----------
    pi : float or numpy.ndarray
        Class prior over all rows.
    s : float or numpy.ndarray
        Labelled fraction of all rows, in [0, 1).

    Returns
    -------
    float or numpy.ndarray
        alpha; outside [0, 1] exactly if not s <= pi <= 1.

    Raises
    ------
    ValueError
        If s is out of its range.
    """
    if not np.all((np.asarray(s) >= 0) & (np.asarray(s) < 1)):
        raise ValueError(f"s: expected a fraction in [0, 1), got {s}")
    return (pi - s) / (1 - s)


def check_prior(s: float, c: float, pi: float) -> list[str]:
    """Why a prior cannot be used; an empty list if it can.

    Parameters
    ----------
    s, c, pi : float
        Labelled fraction, label frequency, class prior.

    Returns
    -------
    list of str
        One sentence for each rule broken: all finite, 0 < s < c <= 1, 0 < pi < 1. With
        pi = s / c these hold together or not at all; both are checked since the values may come
        from a record.
    """
    values = f"s={s:.6g}, c={c:.6g}, pi={pi:.6g}"
    names = [n for n, v in (("s", s), ("c", c), ("pi", pi)) if not math.isfinite(v)]
    if names:
        return [f"not finite: {', '.join(names)} ({values})"]
    reasons = []
    if not s > 0:
        reasons.append(f"s must be above 0: no labelled rows ({values})")
    if not s < c:
        reasons.append(
            f"s must be below c: more rows are labelled than the label frequency allows ({values})"
        )
    if not c <= 1:
        reasons.append(f"c must be at most 1 ({values})")
    if not 0 < pi < 1:
        reasons.append(f"pi must lie between 0 and 1 ({values})")
    return reasons
