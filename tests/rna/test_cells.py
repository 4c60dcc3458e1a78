import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from tests.reference import structures as reference

from priorwise.rna.cells import RELIABILITY_BINS, CellCounts, Cells, average_precision, cells_of

P = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0]))
CELLS = st.lists(st.tuples(P, st.booleans()), min_size=1, max_size=30)


def packed(cells):
    p, paired = zip(*cells, strict=True)
    return Cells(np.array(p, np.float32), np.array(paired))


def drawn(n=20000, seed=0):
    """Cells of a good model whose probabilities are true."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.02, 2.0, n)
    return Cells(p, rng.random(n) < p)


def test_cells_are_pairs_that_could_be():
    p = np.arange(36, dtype=np.float32).reshape(6, 6) / 100
    found = cells_of(p, np.array([[0, 5], [1, 2], [0, 3]]))
    assert found.probability.tolist() == [p[0, 4], p[0, 5], p[1, 5]]
    assert found.paired.tolist() == [False, True, False]
    assert cells_of(np.zeros((3, 3)), np.empty((0, 2), int)).probability.size == 0


@given(CELLS.filter(lambda cells: any(paired for _, paired in cells)), st.integers(0, 29))
def test_average_precision_is_exact(cells, cut):
    parts = [packed(part) for part in (cells[:cut], cells[cut:]) if part]
    found = average_precision(parts)
    assert found == pytest.approx(reference.average_precision(cells), abs=1e-12)
    whole = packed(cells)
    assert found == pytest.approx(average_precision_score(whole.paired, whole.probability))


def test_average_precision_without_pairs():
    assert np.isnan(average_precision([]))
    assert np.isnan(average_precision([packed([(0.5, False)])]))


@given(CELLS, st.sampled_from([0.0, 0.05, 0.5]))
def test_calibration_error_is_that_of_the_reference(cells, lowest):
    expected = reference.calibration_error(
        [(float(np.float32(p)), s) for p, s in cells], RELIABILITY_BINS, lowest
    )
    assert CellCounts.of(packed(cells)).ece(lowest) == pytest.approx(
        expected, abs=1e-9, nan_ok=True
    )


def test_true_probabilities_are_calibrated():
    counts = CellCounts.of(drawn(400_000))
    found = counts.reliability()
    error = np.abs(found["mean_probability"] - found["paired_share"])
    assert (error < 5 * np.sqrt(0.25 / found["cells"])).all()
    assert counts.ece() < 0.003 and counts.ece(0.05) < 0.03
    assert found["cells"].sum() == 400_000


def test_counts_add_up():
    whole = drawn()
    parts = [Cells(whole.probability[k::3], whole.paired[k::3]) for k in range(3)]
    added = sum((CellCounts.of(part) for part in parts), CellCounts.zero())
    together = CellCounts.of(whole)
    assert (added.by_logit == together.by_logit).all()
    np.testing.assert_allclose(added.by_probability, together.by_probability)


def test_curve_is_that_of_the_cells():
    cells = drawn()
    curve = CellCounts.of(cells).curve(points=10**6)
    assert (np.diff(curve["threshold"]) < 0).all() and (np.diff(curve["recall"]) > 0).all()
    for k in range(0, curve["threshold"].size, 7):
        kept = cells.probability >= curve["threshold"][k] - 1e-12
        assert curve["recall"][k] == pytest.approx(cells.paired[kept].sum() / cells.paired.sum())
        assert curve["precision"][k] == pytest.approx(cells.paired[kept].mean())
    area = (np.diff(curve["recall"], prepend=0) * curve["precision"]).sum()
    assert area == pytest.approx(average_precision([cells]), abs=1e-3)
    assert curve["recall"][-1] == 1


def test_a_thinned_curve_keeps_its_end():
    counts = CellCounts.of(drawn())
    few = counts.curve(points=20)
    assert 10 <= few["recall"].size <= 20
    assert few["recall"][-1] == 1


def test_curve_without_pairs_is_empty():
    assert CellCounts.zero().curve()["recall"].size == 0
    assert np.isnan(CellCounts.zero().ece())


def test_certain_cells_have_bins():
    counts = CellCounts.of(packed([(0.0, False), (1.0, True), (1.0, True)]))
    assert counts.by_logit.sum() == 3
    assert counts.curve()["precision"].tolist() == [1.0]


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match="expected numbers in"):
        CellCounts.of(packed([(value, False)]))
