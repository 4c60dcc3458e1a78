"""The best structure in which pairs may cross: a matching of largest weight."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

#: so many pairs, rounds of cuts and nodes of the search, at most for the integer program
MOST_EXACT, MOST_CUTS, MOST_NODES = 250, 6, 20
#: the solver's answers are whole numbers but for this
INTEGRAL = 1e-6
#: weights are probabilities: what the solver takes for 0 must be less than any difference
SCALE = 1e4
ROUNDING = 1e-10


def best_matching(
    first: NDArray[np.int64], second: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Pairs with the largest sum of weights, at most one per base; they may cross.

    The assignment of positions to positions (each its partner, or itself) is solved first. It is
    the relaxation of the matching in which halves of pairs are allowed: a cycle of an even number
    of positions, or one with a gap, splits into two matchings that are equally good, and both are
    best. An odd cycle of real pairs is what a matching cannot do; each is split as well as can be,
    and the free positions are paired, highest weight first. The prices of the assignment (its dual)
    say how far from the best that is, and which pairs no better matching can contain; an integer
    program decides among the others. So the result is exact unless more than `MOST_EXACT` of them
    are left, or the solver gives up.

    Parameters
    ----------
    first, second : numpy.ndarray of shape (n_cells,), int64
        Positions of the pairs to choose from, first < second, no pair twice.
    weight : numpy.ndarray of shape (n_cells,), float64
        What a pair adds; above 0.

    Returns
    -------
    numpy.ndarray of int64
        Indices of the chosen cells, ascending. Of equally good structures always the same one.
    """
    if not first.size:
        return np.empty(0, np.int64)
    used, place = np.unique(np.stack([first, second]), return_inverse=True)
    a, b = place.reshape(2, -1)
    n = used.size
    gain = np.zeros((n, n))
    gain[a, b] = gain[b, a] = weight
    partner = linear_sum_assignment(gain, maximize=True)[1]
    cell = np.full((n, n), -1)
    cell[a, b] = cell[b, a] = np.arange(a.size)
    taken, odd = _split(partner, cell, weight)
    if odd:
        price = _prices(gain, partner)
        part = connected_components(coo_array((weight, (a, b)), shape=(n, n)), directed=False)[1]
        for label in np.unique(part[odd]):
            inside = np.flatnonzero(part[a] == label)
            taken[inside] = _best_of_part(
                a[inside], b[inside], weight[inside], taken[inside], price * (part == label)
            )
    return np.flatnonzero(taken)


def _split(
    partner: NDArray[np.int64], cell: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], list[int]]:
    """Whether each cell is in the better half of its cycle; and a position of each odd cycle."""
    taken = np.zeros(weight.size, bool)
    odd: list[int] = []
    seen = np.zeros(partner.size, bool)
    for start in range(partner.size):
        if seen[start]:
            continue
        cycle = [start]
        while (step := int(partner[cycle[-1]])) != start:
            cycle.append(step)
        seen[cycle] = True
        links = cell[cycle, partner[cycle]]
        taken[_better_half(links, weight)] = True
        if len(cycle) > 1 and len(cycle) % 2 and (links >= 0).all():
            odd.append(start)
    return taken, odd


def _better_half(links: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """Every other link of a cycle; in an odd one, without the position best left out.

    Parameters
    ----------
    links : numpy.ndarray of int64
        Cells from each position of the cycle to the next, -1 where there is none.
    """
    n = links.size
    gain = np.where(links >= 0, weight[links], 0.0)
    starts = range(n) if n % 2 else range(min(n, 2))
    halves = [(start + np.arange(0, n - n % 2, 2)) % n for start in starts]
    best = links[max(halves, key=lambda half: float(gain[half].sum()))]
    return best[best >= 0]


def _prices(gain: NDArray[np.float64], partner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Price of each position: two together cost at least what their pair is worth.

    All prices together are the value of the assignment with halves of pairs. Of the row prices u
    and column prices v of the assignment, u[i] - u[k] >= gain[i, p(k)] - gain[k, p(k)], with
    equality in v[p(k)] = gain[k, p(k)] - u[k]: u is a longest path, found by relaxation.
    """
    reached = gain[:, partner]
    step = reached - np.diag(reached)
    u = np.zeros(len(gain))
    for _ in range(len(gain)):
        longer = (u + step).max(axis=1)
        if (longer <= u + ROUNDING).all():
            break
        u = np.maximum(u, longer)
    v = np.empty_like(u)
    v[partner] = np.diag(reached) - u
    return np.asarray((u + v) / 2)


def _best_of_part(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    weight: NDArray[np.float64],
    taken: NDArray[np.bool_],
    price: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """The best matching of one connected part, given a good one and the prices of its positions."""
    taken = taken.copy()
    busy = set(a[taken].tolist()) | set(b[taken].tolist())
    for k in np.argsort(-weight, kind="stable").tolist():
        if not busy & {int(a[k]), int(b[k])}:
            busy |= {int(a[k]), int(b[k])}
            taken[k] = True
    # a matching that contains a pair falls short of the prices by at least the pair's surplus
    missing = price.sum() - weight[taken].sum()
    left = np.flatnonzero(price[a] + price[b] - weight <= missing + ROUNDING)
    if left.size > MOST_EXACT:
        return taken
    found = _with_cuts(a[left], b[left], weight[left], price.size)
    better = np.zeros_like(taken)
    better[left[found > 1 - INTEGRAL]] = True
    return better if weight[better].sum() > weight[taken].sum() else taken


def _with_cuts(
    a: NDArray[np.int64], b: NDArray[np.int64], weight: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """How much of each pair the best matching takes: 0 or 1, as far as cuts can tell.

    Edmonds (1965): besides one partner per position, a matching takes at most (|S| - 1) / 2 pairs
    within any odd set S of positions. Sets that the last answer violates are added until it is
    whole, or none is found; then the solver branches.
    """
    column = np.arange(a.size)
    rows = [np.concatenate([a, b])]
    columns = [np.tile(column, 2)]
    bounds = [1.0] * n
    found = np.zeros(a.size)
    whole = False
    for turn in range(MOST_CUTS + 1):
        whole = whole or turn == MOST_CUTS
        uses = coo_array(
            (np.ones(sum(map(len, rows))), (np.concatenate(rows), np.concatenate(columns))),
            shape=(len(bounds), a.size),
        ).tocsr()
        answer = milp(
            -SCALE * weight,
            integrality=np.full(a.size, int(whole)),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(uses, ub=np.array(bounds)),
            options={"mip_rel_gap": 0.0, "node_limit": MOST_NODES},
        )
        if answer.x is None:
            break
        found = answer.x
        halves = (found > INTEGRAL) & (found < 1 - INTEGRAL)
        if whole or not halves.any():
            break
        whole = True  # unless there is a set to forbid
        graph = coo_array((found[halves], (a[halves], b[halves])), shape=(n, n))
        part = connected_components(graph, directed=False)[1]
        sizes = np.bincount(part)
        for label in np.flatnonzero((sizes > 1) & (sizes % 2 == 1)):
            within = (part[a] == label) & (part[b] == label)
            if found[within].sum() > (sizes[label] - 1) / 2 + INTEGRAL:
                rows.append(np.full(int(within.sum()), len(bounds)))
                columns.append(column[within])
                bounds.append((sizes[label] - 1) / 2)
                whole = False
    return found
