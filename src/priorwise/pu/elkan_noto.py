"""Elkan & Noto 2008: the label frequency c from the scores of a classifier of s.

"Learning classifiers from only positive and unlabeled data", KDD 2008, section 2. With
g(x) = P(s=1 | x) = c P(y=1 | x), labels selected completely at random, and V a held-out table:
e1 and e2 are averages of g over labelled rows, e3 its supremum.

All three need calibrated scores. Even then E[e1] = E[e2] = c E[P(y=1|x) | y=1], which is **below**
c wherever classes overlap, so that pi = s / c comes out too high; e3 is an extreme value, and far
too high a c on scores with noise. `priorwise.pu.mixture` needs a good order of scores only.
"""

from priorwise.pu.score_table import ScoreTable


def e1(table: ScoreTable) -> float:
    """Mean score of the labelled rows.

    Parameters
    ----------
    table : ScoreTable
        Held-out rows, at least one of them labelled.

    Returns
    -------
    float
        c, in [0, 1].

    Raises
    ------
    ValueError
        If no row is labelled.
    """
    _require_labelled(table)
    return float(table.p @ table.score / table.n_p)


def e2(table: ScoreTable) -> float:
    """Sum of the scores of labelled rows over that of all rows; a factor on g cancels.

    Parameters and errors as for `e1`.

    Returns
    -------
    float
        c, in [0, 1]; 0 if all scores are 0.
    """
    _require_labelled(table)
    of_all = float((table.p + table.u) @ table.score)
    return float(table.p @ table.score) / of_all if of_all else 0.0


def e3(table: ScoreTable) -> float:
    """Largest score of any row.

    Parameters and errors as for `e1`.

    Returns
    -------
    float
        c, in [0, 1].
    """
    _require_labelled(table)
    return float(table.score[-1])


def _require_labelled(table: ScoreTable) -> None:
    if table.n_p == 0:
        raise ValueError("scores: no labelled row (s = 1), so c cannot be estimated")
