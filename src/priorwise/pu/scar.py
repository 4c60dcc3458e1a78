"""Is the label frequency c the same in every data set? A check of SCAR without negatives.

*Selected completely at random* (Elkan & Noto 2008, section 2) says P(s=1 | x, y=1) = c for every
positive. If it holds, c is the same in every group of rows. Among the rows with the highest scores
nearly all are positive, and there the labelled fraction of a group is its c.

"Nearly" matters: a group with few positives has a larger share of negatives among its top rows,
which looks like a lower c. Let P and N be the shares of all positives and of all negatives whose
score reaches the threshold. A group with class prior pi_g has the fraction
f_g = pi_g P + (1 - pi_g) N of its rows there, and of these the share

    purity_g = pi_g P / f_g = P (f_g - N) / (f_g (P - N))                                       (1)

is positive. f_g is counted, P is the recall of the labelled rows, and N, one number for all groups,
is not known: the check looks for the N within its bounds that explains the differences best, and
reports a violation only if even that one does not. What is assumed: the classes are scored alike in
all groups, and the highest third of the positives is pure.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from priorwise.pu.proportions import differences, wilson
from priorwise.pu.rates import FloatArray
from priorwise.pu.scar_result import GroupFrequency, ScarCheck

#: shares of the labelled rows that the top region may hold; the widest that is pure enough is taken
SHARES = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
#: "pure enough": labelled fraction of the region, relative to the highest found
PURE = 0.85
#: the highest share of the labelled rows, taken as pure: bounds c from above
PUREST = 0.3
#: one-sided confidence of that bound
BOUND_LEVEL = 0.8
#: a group enters with so many rows in the top region
MIN_ROWS = 5
#: fewer labelled rows than this have no stable top region
MIN_LABELLED = 20
#: labelled fraction inside against outside the region, in standard errors: else the scores rank not
MIN_CONTRAST = 3.0
#: values of N that are tried
N_GRID = 41


def scar_check(
    score: ArrayLike, labelled: ArrayLike, group: ArrayLike, *, level: float = 0.05
) -> ScarCheck:
    """Test whether the label frequency c is the same in every group.

    The labelled counts in the top region are compared with n_g c purity_g by equation (1) of this
    module, c the pooled estimate, by `proportions.differences`. The largest p over the possible N
    counts: a nuisance parameter treated so errs on the safe side (Berger & Boos 1994).
    The upper bound of N follows from an upper confidence bound of c in the purest part.

    The threshold is chosen from all rows without a look at the groups. Only the order of the scores
    matters: they need not be calibrated, nor be probabilities.

    Parameters
    ----------
    score : array_like of shape (n_rows,)
        Held-out scores, finite; higher = more likely positive.
    labelled : array_like of shape (n_rows,)
        s, as 0/1 or bool.
    group : array_like of shape (n_rows,)
        Name of the data set of each row.
    level : float
        Nominal false-alarm rate, in (0, 1).

    Returns
    -------
    ScarCheck
        With `reason` set, and nothing tested, where the table does not allow it.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.

    Notes
    -----
    Power and false alarms are measured in `benchmarks/scar.py`. The check needs scores that rank
    well: where the classes overlap so much that even the highest third of the positives is impure
    (AUC of about .9 and below), groups with different class priors raise false alarms, the more
    rows the more often.
    """
    f, s, names, g = _checked(score, labelled, group, level)
    n_groups = len(names)
    of_group = np.bincount(g, minlength=n_groups)

    def undone(reason: str, threshold: float = math.nan) -> ScarCheck:
        rows, labels = _counts(g, s, f >= threshold, n_groups)
        groups = tuple(
            GroupFrequency(name, int(n), int(k), math.nan, math.nan, math.nan, False)
            for name, n, k in zip(names, rows, labels, strict=True)
        )
        nan = math.nan
        return ScarCheck(nan, 0, nan, nan, threshold, nan, nan, level, groups, reason)

    if s.sum() < MIN_LABELLED:
        return undone(f"{s.sum()} labelled rows, {MIN_LABELLED} needed")
    threshold, c_highest = _top_region(f, s)
    top = f >= threshold
    if _contrast(s, top) < MIN_CONTRAST:
        return undone("the scores do not rank labelled rows above the others")
    rows, labels = _counts(g, s, top, n_groups)
    used = rows >= MIN_ROWS
    if used.sum() < 2:
        return undone(
            f"{used.sum()} of {n_groups} data sets with {MIN_ROWS} rows of high score, 2 needed",
            threshold,
        )

    n, k, fraction = rows[used], labels[used], rows[used] / of_group[used]
    recall = float(s[top].sum() / s.sum())
    most = _most_false_positives(
        float(top.mean()), float(s[top].mean()), c_highest, float(s.mean())
    )
    # beyond half of P the top region would not be one
    tried = np.linspace(0, min(most, recall / 2), N_GRID)[:, None]
    purity = np.clip(recall * (1 - tried / fraction) / (recall - tried), 0.05, 1)
    c = k.sum() / (n * purity).sum(axis=1, keepdims=True)
    statistics, largest, p_values = differences(k, n, np.clip(c * purity, 1e-9, 1 - 1e-9))
    best = int(p_values.argmax())

    corrections = np.ones(n_groups)
    corrections[used] = purity[best]
    return ScarCheck(
        statistic=float(statistics[best]),
        df=len(n) - 1,
        largest_residual=float(largest[best]),
        p_value=float(p_values[best]),
        threshold=threshold,
        c=min(1.0, float(c[best, 0])),
        false_positive_rate=float(tried[best, 0]),
        level=level,
        groups=tuple(
            _group_frequency(str(names[i]), int(rows[i]), int(labels[i]), corrections[i], used[i])
            for i in range(n_groups)
        ),
    )


def _checked(
    score: ArrayLike, labelled: ArrayLike, group: ArrayLike, level: float
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.str_], NDArray[np.intp]]:
    """Arrays of one length: scores, labels, names of the groups, group of each row."""
    f, s, of = np.asarray(score, np.float64), np.asarray(labelled), np.asarray(group, np.str_)
    if f.ndim != 1 or f.size == 0:
        raise ValueError(f"score: expected one or more values in one row, got {f.shape}")
    for name, values in (("labelled", s), ("group", of)):
        if values.shape != f.shape:
            raise ValueError(f"{name}: expected the shape of score {f.shape}, got {values.shape}")
    if not np.isfinite(f).all():
        raise ValueError(f"score: value at {int((~np.isfinite(f)).argmax())} is not finite")
    if not np.isin(s, (0, 1)).all():
        raise ValueError("labelled: expected 0 or 1 in every row")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a rate in (0, 1), got {level}")
    names, place = np.unique(of, return_inverse=True)
    return f, s.astype(bool), names, place


def _top_region(f: FloatArray, s: NDArray[np.bool_]) -> tuple[float, float]:
    """Threshold of the widest region that is pure enough; upper confidence bound of c."""
    everyone, of_labelled = np.sort(f), np.sort(f[s])

    def region(share: float) -> tuple[float, int, float]:
        """Threshold, rows and labelled fraction of the top `share` of the labelled rows."""
        threshold = of_labelled[int((1 - share) * len(of_labelled))]
        n = len(everyone) - int(np.searchsorted(everyone, threshold))
        k = len(of_labelled) - int(np.searchsorted(of_labelled, threshold))
        return float(threshold), n, k / n

    _, n, purest = region(PUREST)
    highest = purest + float(ndtri(BOUND_LEVEL)) * math.sqrt(purest * (1 - purest) / n)
    regions = [region(share) for share in SHARES]
    enough = PURE * max(purest, *(fraction for *_, fraction in regions))
    wide = [threshold for threshold, _, fraction in regions if fraction >= enough]
    return (wide[-1] if wide else regions[0][0]), min(1.0, highest)


def _contrast(s: NDArray[np.bool_], top: NDArray[np.bool_]) -> float:
    """Labelled fraction inside less outside the region, in standard errors."""
    if top.all():
        return 0.0
    inside, outside, mean = s[top].mean(), s[~top].mean(), s.mean()
    variance = mean * (1 - mean) * (1 / top.sum() + 1 / (~top).sum())
    return float((inside - outside) / math.sqrt(variance)) if variance > 0 else 0.0


def _most_false_positives(fraction: float, labelled: float, c: float, s: float) -> float:
    """Upper bound of N, from the fraction of rows in the region and an upper bound of c.

    Positives in the region are labelled / c of its rows, and pi = s / c of all rows.
    """
    pi = s / c
    return fraction * max(0.0, 1 - labelled / c) / (1 - pi) if pi < 1 else math.inf


def _counts(
    g: NDArray[np.intp], s: NDArray[np.bool_], inside: NDArray[np.bool_], n_groups: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and labelled rows of each group inside the region."""
    return (
        np.bincount(g[inside], minlength=n_groups),
        np.bincount(g[inside & s], minlength=n_groups),
    )


def _group_frequency(name: str, n: int, k: int, purity: float, used: bool) -> GroupFrequency:
    """Label frequency of a group with Wilson's interval (1927), both divided by the purity."""
    if not used:
        return GroupFrequency(name, n, k, math.nan, math.nan, math.nan, False)
    c, low, high = (min(1.0, value / purity) for value in (k / n, *wilson(k, n)))
    return GroupFrequency(name, n, k, c, low, high, True)
