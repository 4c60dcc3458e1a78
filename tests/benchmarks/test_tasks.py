"""The tasks have the truth that they state."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import crossfit, satimage, tasks


@pytest.fixture
def population() -> tuple[np.ndarray, np.ndarray]:
    """20,000 rows; the only feature is the row's number, the class depends on nothing."""
    rng = np.random.default_rng(0)
    x = np.arange(20_000, dtype=np.float32)[:, None]
    return x, rng.integers(0, 2, 20_000)


def test_censored_tables_have_the_prior_and_the_label_frequency(population) -> None:
    x, y = population
    task = tasks.censored(x, y, tasks.POSITIVE, seed=5)
    tables = (task.train, task.validation, task.hold_out, task.test)
    assert [len(t) for t in tables] == list(tasks.SIZES)
    for table in tables:
        assert table.y.mean() == pytest.approx(tasks.POSITIVE.pi, abs=1 / len(table))
        assert not (table.s & (1 - table.y)).any()  # no negative is labelled
        c = table.s.sum() / table.y.sum()
        assert c == pytest.approx(0.5889, abs=4 * (0.25 / table.y.sum()) ** 0.5)
    rows = np.concatenate([t.x[:, 0] for t in tables])
    assert len(np.unique(rows)) == len(rows)  # disjoint
    y_of_rows = np.concatenate([t.y for t in tables])
    np.testing.assert_array_equal(y[rows.astype(int)], y_of_rows)


def test_priors_are_those_of_the_guide() -> None:
    assert tasks.POSITIVE.pi == pytest.approx(0.4534, abs=5e-5)
    assert tasks.NEGATIVE.pi == pytest.approx(0.2853, abs=5e-5)


def test_without_exact_the_share_of_positives_varies_around_the_prior(population) -> None:
    x, y = population
    shares = [
        tasks.censored(x, y, tasks.NEGATIVE, seed, sizes=(400, 0, 0, 0), exact=False).train.y.mean()
        for seed in range(200)
    ]
    sd = (tasks.NEGATIVE.pi * (1 - tasks.NEGATIVE.pi) / 400) ** 0.5
    assert np.std(shares) == pytest.approx(sd, rel=0.2)
    assert np.mean(shares) == pytest.approx(tasks.NEGATIVE.pi, abs=4 * sd / 200**0.5)


def test_two_samples_are_drawn_apart(population) -> None:
    x, y = population
    task = tasks.two_sample(
        x, y, 3, n_official_test=5000, train=2000, validation=500, hold_out=1000
    )
    for table, n in ((task.train, 2000), (task.validation, 500), (task.hold_out, 1000)):
        assert (table.s.sum(), len(table)) == (n, 2 * n)
        assert table.y[table.s == 1].all()
        assert table.alpha == 0.5
    assert task.train.x.max() < 15_000 <= task.hold_out.x.min()
    assert not np.isin(task.train.x, task.validation.x).any()


def test_too_few_rows_are_refused(population) -> None:
    x, y = population
    with pytest.raises(ValueError, match="too few"):
        tasks.censored(x[:5000], y[:5000], tasks.POSITIVE, seed=1)
    with pytest.raises(ValueError, match="too few"):
        tasks.two_sample(x, y, 1, n_official_test=5000)


def test_mixtures_are_those_of_dedpul() -> None:
    y = np.repeat([1, 0], [2841, 3594])
    x = np.arange(len(y), dtype=np.float32)[:, None]
    for alpha in satimage.MIXTURES:
        table = satimage.mixture(x, y, alpha, state=0)
        assert table.s.sum() == 1000 and table.y[table.s == 1].all()
        assert table.alpha == pytest.approx(alpha, abs=1e-3)
        assert len(np.unique(table.x)) == len(table)


def test_satimage_columns_are_standardised(tmp_path: Path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    sizes = [1533, 703, 1358, 626, 707, 1508]
    values = np.column_stack(
        [
            rng.integers(30, 130, (6435, 36)),
            np.repeat([1, 2, 3, 4, 5, 7], sizes),
        ]
    )
    lines = [
        "\n".join(" ".join(map(str, row)) for row in part) for part in np.split(values, [4435])
    ]
    texts = dict(zip(("sat.trn.txt", "sat.tst.txt"), lines, strict=True))
    monkeypatch.setattr(
        satimage, "member", lambda wheel, name, cache: texts[name.split("/")[-1]].encode()
    )
    x, y = satimage.load(tmp_path)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-5)
    assert y.sum() == 2841  # classes 4, 5 and 7: above the median class


def test_every_row_is_scored_by_networks_that_did_not_see_it() -> None:
    """Labels are coin flips: networks that saw a row would know its label."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    s = rng.integers(0, 2, 300)
    table = tasks.Table(x, s, s)
    scores = crossfit.out_of_fold_scores(
        table, 1, splits=2, width=64, dropout=0.0, epochs=60, batch=32, rate=0.02
    )
    from sklearn.metrics import roc_auc_score

    assert scores.shape == (300,) and ((scores > 0) & (scores < 1)).all()
    assert abs(roc_auc_score(s, scores) - 0.5) < 0.15


def test_out_of_fold_scores_rank_what_can_be_learned() -> None:
    rng = np.random.default_rng(2)
    y = rng.integers(0, 2, 600)
    x = (rng.normal(size=(600, 4)) + 2 * y[:, None]).astype(np.float32)
    s = y * rng.integers(0, 2, 600)
    scores = crossfit.out_of_fold_scores(tasks.Table(x, y, s), 3, splits=1, epochs=20, batch=64)
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score(y, scores) > 0.95
