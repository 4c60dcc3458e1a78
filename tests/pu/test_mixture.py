import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import elkan_noto, mixture

from priorwise.pu.mixture import bbe, kde_em, tice, top_bins
from priorwise.pu.score_table import ScoreTable

ESTIMATORS = {"bbe": bbe, "tice": tice, "kde_em": kde_em}
each = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
#: (score, s) with ties and scores of exactly 0 and 1; at least one row of both kinds
scores = st.sampled_from([0.0, 1e-12, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)
rows = st.builds(
    lambda p, u: [(g, 1) for g in p] + [(g, 0) for g in u],
    st.lists(scores, min_size=1, max_size=25),
    st.lists(scores, min_size=1, max_size=25),
).filter(lambda batch: len({g for g, _ in batch}) > 1)
few = settings(max_examples=40, deadline=None)


def of(batch):
    return ScoreTable.of([g for g, _ in batch], [s for _, s in batch])


# --- by hand ----------------------------------------------------------------------------------


def test_bbe_by_hand():
    """Both bounds have the same width, so the bin with most of P wins: 1 of 4 U, all of P."""
    table = of([(0.9, 1), (0.8, 1), (0.7, 1), (0.6, 1), (0.9, 0), (0.5, 0), (0.4, 0), (0.3, 0)])
    assert bbe(table) == 0.25
    bins = top_bins(table)
    assert bins.threshold.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    assert bins.share_of_p.tolist() == [0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert bins.share_of_u.tolist() == [0.25, 0.25, 0.25, 0.25, 0.5, 0.75, 1]
    assert bins.ratio[:4] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    width = 2 * np.sqrt(np.log(40) / 8)
    assert bins.upper == pytest.approx(bins.ratio + 1.01 * width / bins.share_of_p)
    assert bins.threshold[bins.chosen] == 0.6


def test_bbe_leaves_out_bins_without_labelled_rows():
    """At and above .9 there is no labelled row: no ratio there, and none is divided by 0."""
    bins = top_bins(of([(1.0, 0), (0.9, 0), (0.5, 1), (0.5, 0), (0.1, 0)]))
    assert bins.threshold.tolist() == [0.5, 0.1]
    assert bins.ratio.tolist() == [0.75, 1.0]


def test_bbe_weighs_purity_against_size():
    """Many rows: the small pure bin wins. Few rows with the same shares: the large one does."""
    shares = {0.9: (0.5, 0.1), 0.5: (0.5, 0.4), 0.1: (0.0, 0.5)}

    def table(n):
        p, u = (np.array([shares[g][i] * n for g in sorted(shares)]) for i in (0, 1))
        return ScoreTable(np.array(sorted(shares)), p, u)

    assert bbe(table(100_000)) == pytest.approx(0.1 / 0.5)
    assert bbe(table(10)) == pytest.approx(0.5)


def test_tice_by_hand():
    """Top bin: T = 500, L = 400. c -> .8 less half a standard error, five times replaced."""
    table = ScoreTable(np.array([0.2, 0.8]), np.array([0.0, 400]), np.array([500.0, 100]))
    c = 0.5
    for _ in range(5):
        c = 0.8 - np.sqrt(c * (1 - c) * 0.2 / (0.8 * 500))
    s = 0.4
    assert tice(table) == pytest.approx((s / c - s) / (1 - s), abs=1e-12)
    assert 0.79 < c < 0.8


def test_tice_looks_at_no_subset_below_a_tenth_of_the_labelled_rows():
    """Nine of 100 labelled rows are alone at the top: pure, but too few."""
    p, u = np.array([0.0, 91, 9]), np.array([900.0, 100, 0])
    without = tice(ScoreTable(np.array([0.1, 0.5, 0.9]), p, u))
    assert without > 0.05  # c about 100 / 200
    p = np.array([0.0, 90, 10])  # a tenth: now it counts, though its bound is lower than 1
    assert tice(ScoreTable(np.array([0.1, 0.5, 0.9]), p, u)) < without - 0.02


# --- against the references -------------------------------------------------------------------


@given(rows)
def test_bbe_and_tice_agree_with_loops_over_rows(batch):
    g, s = zip(*batch, strict=True)
    assert bbe(of(batch)) == pytest.approx(mixture.bbe(g, s), abs=1e-9)
    assert tice(of(batch)) == pytest.approx(mixture.tice(g, s), abs=1e-9)


@pytest.mark.parametrize("decimals", [2, 12], ids=["ties", "no ties"])
@pytest.mark.parametrize(("auc", "pi", "c"), [(0.9, 0.45, 0.59), (0.95, 0.2853, 0.4486)])
def test_on_gaussian_classes(auc, pi, c, decimals):
    g, s, _ = elkan_noto.gaussian_table(300, auc, pi, c, seed=1)
    g = np.round(g, decimals)
    table = ScoreTable.of(g, s)
    assert bbe(table) == pytest.approx(mixture.bbe(g, s), abs=1e-9)
    assert tice(table) == pytest.approx(mixture.tice(g, s), abs=1e-9)
    assert kde_em(table) == pytest.approx(mixture.kde_em(g, s), abs=1e-3)


@pytest.mark.parametrize("seed", [2, 3])
def test_kde_em_is_the_fixed_point_of_em(seed):
    g, s, _ = elkan_noto.gaussian_table(400, 0.93, 0.6, 0.3, seed)
    assert kde_em(ScoreTable.of(g, s)) == pytest.approx(mixture.kde_em(g, s), abs=1e-3)


@pytest.mark.parametrize("seed", [4, 9])
def test_kde_em_is_not_caught_in_the_first_maximum(seed):
    """Nearly all rows are positive: a search from the first start alone ends near .5."""
    g, s, y = elkan_noto.gaussian_table(500, 0.9, 0.9, 0.3, seed)
    assert kde_em(ScoreTable.of(g, s)) == pytest.approx(y[~s].mean(), abs=0.1)


# --- closed forms -----------------------------------------------------------------------------


@each
@pytest.mark.parametrize("alpha", [0.05, 0.25, 0.5, 0.75, 0.95])
def test_disjoint_classes(estimator, alpha):
    """Positives score above all negatives, in no order among themselves."""
    rng = np.random.default_rng(7)
    n = 10_000
    positive = np.concatenate([np.ones(n), rng.random(n) < alpha])
    g = positive * 0.5 + 0.4 * rng.random(2 * n)
    s = np.arange(2 * n) < n
    truth = positive[n:].mean()
    assert estimator(ScoreTable.of(g, s)) == pytest.approx(truth, abs=0.02)


@each
def test_no_positive_and_only_positives_among_the_unlabelled(estimator):
    rng = np.random.default_rng(8)
    s = np.arange(4000) < 2000
    none = np.where(s, 0.6, 0.1) + 0.3 * rng.random(4000)
    assert estimator(ScoreTable.of(none, s)) < 0.01
    all_but_one = np.full(4000, 0.6)
    all_but_one[-1] = 0.1
    assert estimator(ScoreTable.of(all_but_one, s)) > 0.9


# --- properties -------------------------------------------------------------------------------


@given(rows, st.randoms(use_true_random=False))
@few
def test_order_of_rows_changes_nothing_at_all(batch, random):
    shuffled = list(batch)
    random.shuffle(shuffled)
    for estimator in ESTIMATORS.values():
        assert estimator(of(shuffled)) == estimator(of(batch))


@given(rows, st.data())
@few
def test_increasing_changes_of_the_scores_change_nothing(batch, data):
    table = of(batch)
    n = table.score.size
    other = data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n, unique=True))
    moved = table.with_scores(np.array(sorted(other)))
    for estimator in ESTIMATORS.values():
        assert estimator(moved) == estimator(table)


@given(rows)
@few
def test_a_share(batch):
    for estimator in ESTIMATORS.values():
        assert 0 <= estimator(of(batch)) <= 1


@given(rows, st.integers(2, 5))
@few
def test_duplicated_rows_leave_kde_em_and_the_curve_of_bbe(batch, times):
    """bbe and tice may choose another bin: their bounds are tighter for more rows."""
    once, often = of(batch), of(batch * times)
    assert kde_em(often) == pytest.approx(kde_em(once), abs=1e-4)
    np.testing.assert_allclose(top_bins(often).ratio, top_bins(once).ratio, rtol=1e-12)
    assert (top_bins(often).upper <= top_bins(once).upper).all()


def test_order_matters_to_all():
    """Turned round, the labelled rows rank below: no share of U looks like P."""
    g, s, _ = elkan_noto.gaussian_table(2000, 0.95, 0.45, 0.59, seed=4)
    for estimator in ESTIMATORS.values():
        assert estimator(ScoreTable.of(1 - g, s)) > estimator(ScoreTable.of(g, s)) + 0.2


# --- refusals ---------------------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("score", "s", "says"),
    [
        ([0.1, 0.9], [0, 0], "no labelled row"),
        ([0.1, 0.9], [1, 1], "no unlabelled row"),
        ([0.3, 0.3, 0.3], [0, 1, 1], r"all are 0\.3, so no row ranks above another"),
        ([0.0, 0.0], [0, 1], "all are 0,"),
    ],
)
def test_refusals(estimator, score, s, says):
    with pytest.raises(ValueError, match=f"^scores: {says}[^\n]*$"):
        estimator(ScoreTable.of(score, s))
