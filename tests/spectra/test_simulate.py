"""Simulated tables: the contract, the exactness of the score, and what cannot go wrong on disk."""

import dataclasses
import functools
import hashlib
import json
import threading
from pathlib import Path

import lance
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import optimize, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from priorwise.errors import BadInput
from priorwise.spectra import simulate
from priorwise.spectra.facts import inspect
from priorwise.spectra.schema import NUMERIC_SETTINGS, SPECTRA_SCHEMA
from priorwise.spectra.settings import SettingsStats
from priorwise.spectra.simulate import Simulation, key, read_truth, write
from priorwise.spectra.simulated import generative
from priorwise.spectra.simulated.parameters import TABLES
from priorwise.store.tables import ContentDigest, write_table

PI = {True: 0.454, False: 0.285}
C = {True: 0.5889, False: 0.4486}
SMALL = Simulation(n_train=400, n_validation=60, n_test=60)


def load(root: Path, table: str) -> pd.DataFrame:
    """A table as stored, joined with its truth, settings back in their own units."""
    rows = lance.dataset(str(root / table)).to_table().to_pandas()
    truth = read_truth(str(root), table)
    assert (truth["row"] == np.arange(len(rows))).all()
    rows = rows.join(truth[["y", "bayes_score"]])
    z = np.stack(rows["instrument_settings"]).astype(float)
    moments = json.loads((root / "settings_stats.json").read_text())
    for i, name in enumerate(NUMERIC_SETTINGS):
        rows[name] = z[:, i] * moments["std"][i] + moments["mean"][i]
    rows["positive"] = z[:, 15] > 0.5
    return rows


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """20,000 training rows of each of two seeds."""
    base = tmp_path_factory.mktemp("simulated")
    tables = {}
    for seed in (1, 2):
        root = base / str(seed)
        write(Simulation(n_train=20_000, n_validation=20, n_test=20, seed=seed), str(root))
        tables[seed] = load(root, "train_data")
    return tables


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("simulated") / "small"
    return root, write(SMALL, str(root))


# --- the score ------------------------------------------------------------------------------------


@functools.cache
def half_width(n: int, divergence: float) -> float:
    """The h for which B(n, 1/2 - h) and B(n, 1/2 + h) have the divergence, summed over levels."""

    def off(h: float) -> float:
        k = np.arange(n + 1)
        p, q = stats.binom.pmf(k, n, 0.5 + h), stats.binom.pmf(k, n, 0.5 - h)
        return float(stats.entropy(p, q) + stats.entropy(q, p)) - divergence

    return float(optimize.brentq(off, 1e-4, 0.49))


def binomial_ratio(level, n, divergence):
    h = half_width(n, divergence)
    return stats.binom.logpmf(level, n, 0.5 + h) - stats.binom.logpmf(level, n, 0.5 - h)


V = (np.arange(1000) + 0.5) / 1000
BETA_MASS = (stats.beta.pdf(V, 3.4, 3.3), stats.beta.pdf(V, 2.1, 4.6))


def score_from_row(row, prior: float, n_noise: int) -> float:
    """P(y=1 | row) by the formulas of `generative`'s docstring, from stored values alone."""
    mz, intensity = row.mz_array, row.intensity_array.astype(float)
    own = np.flatnonzero(mz == row.precursor_mz)
    assert own.size == 1
    share = (intensity[own[0]] / intensity.max()) ** 2
    u = np.log(share / 0.0105) / np.log(0.95 / 0.0105)
    d = np.sqrt(2.10)
    logit = np.log(prior / (1 - prior))
    for y, sign in ((1, 1), (0, -1)):
        time = row["Ion Injection Time (ms)"]
        logit += sign * stats.norm.logpdf(time, 57 + 10 * d * (0.5 - y), 10)
        logit += sign * stats.beta.logpdf(u, *((2.75, 2) if y else (2, 2.75)))
        mass = BETA_MASS[y]
        nominal = round(float(row.precursor_mz) / 1.00045)
        logit += sign * np.log(mass[nominal - 155] / mass.sum())
        charges = (0.86, 0.10, 0.03, 0.01) if y else (0.50, 0.30, 0.14, 0.06)
        logit += sign * np.log(charges[round(row["Charge State"]) - 1])
    logit += binomial_ratio(round((row["Energy1"] - 20) / 4), 6, 1.45)
    logit += binomial_ratio(round(row["AGC Target"] / 1e5) - 1, 6, 1.05)
    logit -= binomial_ratio(round((row["MS2 Isolation Width"] - 0.4) / 0.3), 6, 0.70)
    logit += binomial_ratio((mz < 150).sum(), n_noise, 0.60)
    return 1 / (1 + np.exp(-logit))


@pytest.mark.parametrize(("max_peaks", "n_noise"), [(64, 30), (16, 6)])
def test_the_score_is_the_posterior_of_the_stored_row(tmp_path, max_peaks, n_noise):
    write(dataclasses.replace(SMALL, max_peaks=max_peaks), str(tmp_path / "x"))
    rows = load(tmp_path / "x", "train_data")
    again = [score_from_row(row, PI[row.positive], n_noise) for _, row in rows.iterrows()]
    np.testing.assert_allclose(again, rows["bayes_score"], atol=2e-5)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("positive", [True, False])
def test_the_score_ranks_and_calibrates_as_promised(large, seed, positive):
    rows = large[seed][large[seed]["positive"] == positive]
    y, score, s = rows["y"], rows["bayes_score"], rows["label"]
    assert 0.975 < roc_auc_score(y, score) < 0.985
    for low in np.arange(0, 1, 0.2):  # share of positives where the score says so
        here = score[(score >= low) & (score < low + 0.2)]
        spread = np.sqrt((here * (1 - here)).sum())
        assert abs(y[here.index].sum() - here.sum()) < 4 * spread
    # Elkan and Noto's e1 with a perfect g = c P(y=1|x); facts of the classes, not of the sample
    e1 = (C[positive] * score[s == 1]).mean()
    assert 0.045 < PI[positive] * C[positive] / e1 - PI[positive] < 0.075


def test_the_divergences_are_those_of_the_docstring():
    found = generative.divergences()
    assert list(found.values()) == pytest.approx(
        [2.10, 1.45, 1.05, 0.67, 0.70, 1.25, 0.60, 0.60], abs=0.0075
    )
    settings = sum(list(found.values())[:5])
    assert 0.70 < settings / sum(found.values()) < 0.75


@pytest.mark.parametrize("positive", [True, False])
def test_rates_and_labels_selected_completely_at_random(large, positive):
    rows = large[1][large[1]["positive"] == positive]
    assert len(rows) == (12_000 if positive else 8_000)
    pi, c, n = PI[positive], C[positive], len(rows)
    assert abs(rows["y"].mean() - pi) < 4 * np.sqrt(pi * (1 - pi) / n)
    assert (rows["y"][rows["label"] == 1] == 1).all()
    present = rows[rows["y"] == 1]
    groups = [
        pd.qcut(present["bayes_score"], 4, labels=False),
        pd.qcut(present["precursor_mz"], 4, labels=False),
        present["dataset_id"],
    ]
    for group in groups:
        for _, labels in present["label"].groupby(group):
            assert abs(labels.mean() - c) < 4 * np.sqrt(c * (1 - c) / len(labels))


def test_a_model_of_the_settings_learns_it_from_labels_alone(large):
    """What a small network must reach in a few epochs is within reach of a linear model."""
    for positive in (True, False):
        train, test = (large[i][large[i]["positive"] == positive] for i in (1, 2))
        train = train.head(3000)
        x, x_test = (np.stack(t["instrument_settings"]) for t in (train, test))
        model = LogisticRegression(C=0.1, max_iter=500)
        settings_only = model.fit(x, train["label"]).decision_function(x_test)
        x, x_test = (
            np.column_stack(
                [
                    features,
                    t["precursor_mz"] / 200,
                    [(m < 150).mean() * 10 for m in t["mz_array"]],
                ]
            )
            for features, t in ((x, train), (x_test, test))
        )
        with_ms1 = model.fit(x, train["label"]).decision_function(x_test)
        assert 0.945 < roc_auc_score(test["y"], settings_only) < 0.965
        assert roc_auc_score(test["y"], with_ms1) > 0.965


# --- the tables -----------------------------------------------------------------------------------


def test_tables_keep_the_contract(small):
    root, written = small
    assert not written.reused
    seen: set[str] = set()
    for name, uri in written.tables.items():
        dataset = lance.dataset(uri)
        assert dataset.schema == SPECTRA_SCHEMA
        assert dataset.count_rows() == (400 if name == "train_data" else 60)
        _, facts = inspect(uri, Path(uri).name)  # refuses NaN, odd labels, unequal lengths ...
        assert facts.digest == written.manifest["tables"][name]["digest"]
        rows = load(root, name)
        ids = set(rows["dataset_id"])
        assert len(ids) >= 3 and not ids & seen
        assert all(len(i) == 12 and i.startswith("MSV900000") for i in ids)
        seen |= ids
        assert rows.groupby("dataset_id")["source_file"].nunique().min() >= 2
        assert rows.groupby("source_file")["positive"].nunique().max() == 1
        paths = "simulated/" + rows["dataset_id"] + "/" + rows["source_file"]
        assert (rows["mzml_filepath"] == paths).all()
        assert "blank" not in " ".join(rows["mzml_filepath"]).lower()
        assert rows["positive"].mean() == pytest.approx(0.6)
        named = rows["compound_name"].str.fullmatch(r"simulated-\d{3}")
        assert (named == (rows["label"] == 1)).all()
        assert (rows["compound_name"][~named] == "").all()


def test_cycles_are_those_of_data_dependent_acquisition(small):
    rows = load(small[0], "train_data")
    sizes = []
    for _, file in rows.groupby("source_file", sort=False):
        cycles = file.groupby("ms1_scan_number", sort=False)
        previous = None
        for ms1, cycle in cycles:
            assert (cycle["ms2_scan_number"] == ms1 + 1 + np.arange(len(cycle))).all()
            assert previous is None or ms1 == previous + 1
            previous = cycle["ms2_scan_number"].iloc[-1]
            first = cycle.iloc[0]
            for _, row in cycle.iterrows():  # one MS1 scan is one spectrum
                np.testing.assert_array_equal(row["mz_array"], first["mz_array"])
                np.testing.assert_array_equal(row["intensity_array"], first["intensity_array"])
        sizes += [len(cycle) for _, cycle in cycles][:-1]  # a run may end within a cycle
    assert min(sizes) >= 3 and max(sizes) <= 8 and len(set(sizes)) > 3


@pytest.mark.parametrize("max_peaks", [16, 40, 64, 200])
def test_spectra_look_preprocessed(tmp_path, max_peaks):
    write(dataclasses.replace(SMALL, max_peaks=max_peaks), str(tmp_path / "x"))
    rows = load(tmp_path / "x", "train_data")
    m_plus_1 = 0
    for _, row in rows.iterrows():
        mz, intensity = row["mz_array"].astype(float), row["intensity_array"].astype(float)
        assert 8 <= mz.size <= max_peaks
        assert (np.diff(row["mz_array"]) > 0).all()
        counts = intensity**2
        assert counts.min() >= 0.00999 * counts.max()
        assert 1e6 < counts.max() < 1e10  # counts, so intensities are their square roots
        base = 391.28429 if row["positive"] else 255.23295
        assert mz[counts.argmax()] == pytest.approx(base, abs=1e-3)
        own = counts[row["mz_array"] == row["precursor_mz"]][0]
        next_mz = float(row["precursor_mz"]) + 1.00336 / round(row["Charge State"])
        near = np.flatnonzero(abs(mz - next_mz) < 3e-4)
        if near.size == 1 and own > 0.2 * counts.max() and row["Charge State"] < 1.5:
            m_plus_1 += 1
            assert counts[near[0]] / own == pytest.approx(4.87e-4 * row["precursor_mz"], rel=0.2)
    assert m_plus_1 > 10


def test_settings_are_z_scores_and_one_hot_pairs(large, small):
    z = np.stack(large[1]["instrument_settings"])
    settings_of_rows = [0, 1, 2, 4, 6, 7, 8, 9, 12]  # the others are constant in a file
    assert abs(z[:, settings_of_rows].mean(axis=0)).max() < 0.05
    np.testing.assert_allclose(z[:, settings_of_rows].std(axis=0), 1, atol=0.05)
    assert (z[:, [10, 11, 13]] == 0).all()
    for odd in (15, 17, 19, 21):
        assert set(map(tuple, z[:, odd - 1 : odd + 1])) == {(0, 1), (1, 0)}
    found = SettingsStats.load(small[0])
    assert found.n_rows == 400
    assert large[1]["Ion Injection Time (ms)"].min() > 0


# --- reproducible ---------------------------------------------------------------------------------


def digests(simulation: Simulation, root: Path) -> dict[str, str]:
    """Content digests by reading back, truth included."""
    write(simulation, str(root))
    found = {}
    for name in (*TABLES, "truth"):
        dataset = lance.dataset(str(root / name))
        digest = ContentDigest(dataset.schema)
        for batch in dataset.to_batches():
            digest.update(batch)
        found[name] = digest.hexdigest()
    return found


def test_same_seed_same_rows_and_tables_do_not_depend_on_each_other(tmp_path):
    first = digests(SMALL, tmp_path / "a")
    assert digests(SMALL, tmp_path / "b") == first
    assert len(set(first.values())) == 6
    other = digests(dataclasses.replace(SMALL, seed=2), tmp_path / "c")
    assert not set(other.values()) & set(first.values())
    grown = digests(dataclasses.replace(SMALL, n_test=90), tmp_path / "d")
    same = {name for name in first if grown[name] == first[name]}
    assert same == {"train_data", "validation_data"}
    grown = digests(dataclasses.replace(SMALL, n_train=410), tmp_path / "e")
    same = {name for name in first if grown[name] == first[name]}
    assert same == set(TABLES) - {"train_data"}


def test_rows_change_only_with_the_format_number(small):
    """If this fails, the same parameters give other rows: count `simulation.FORMAT` up."""
    rows = load(small[0], "train_data")
    facts = [
        "".join(str(int(v)) for v in rows["y"]),
        "".join(str(int(v)) for v in rows["label"]),
        rows["ms2_scan_number"].tolist(),
        np.floor(rows["precursor_mz"]).astype(int).tolist(),
        [len(m) for m in rows["mz_array"]],
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    assert (simulate.FORMAT, digest) == (1, "e5daf1f6a531")


def test_the_key_names_the_rows():
    assert key(Simulation()) == key(Simulation(n_train=np.int64(6000), c_pos=np.float64(0.5889)))
    assert key(Simulation(c_pos=1)) == key(Simulation(c_pos=1.0))
    changed = {"n_train": 21, "n_validation": 21, "n_test": 21, "c_pos": 0.5, "c_neg": 0.5}
    changed |= {"pi_pos": 0.5, "pi_neg": 0.5, "max_peaks": 65, "seed": 2}
    keys = {key(Simulation(**{name: value})) for name, value in changed.items()}
    assert len(keys | {key(Simulation())}) == len(changed) + 1
    assert len(key(Simulation())) == 12


# --- parameters, truth, backgrounds ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_train", 19),
        ("n_train", 100.0),
        ("n_validation", 0),
        ("n_test", True),
        ("c_pos", 0),
        ("c_neg", 1.01),
        ("pi_pos", 1),
        ("pi_neg", float("nan")),
        ("pi_pos", float("inf")),
        ("pi_pos", "0.4"),
        ("max_peaks", 15),
        ("seed", -1),
        ("backgrounds", ""),
    ],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(BadInput, match=f"^{name}="):
        Simulation(**{name: value})


def test_extremes_still_make_tables(tmp_path):
    tiny = Simulation(n_train=20, n_validation=20, n_test=20, max_peaks=16, c_pos=1.0)
    write(tiny, str(tmp_path / "tiny"))
    rows = load(tmp_path / "tiny", "train_data")
    positive = rows[rows["positive"]]
    assert (positive["label"] == positive["y"]).all()
    for pi in (1e-6, 1 - 1e-6):
        write(dataclasses.replace(tiny, pi_pos=pi), str(tmp_path / f"{pi}"))
        rows = load(tmp_path / f"{pi}", "train_data")
        assert (rows["y"][rows["positive"]] == round(pi)).all()
        assert rows["bayes_score"].between(0, 1).all()


def test_the_manifest_tells_truth_and_realised_rates(small):
    root, written = small
    manifest = json.loads((root / "simulation.json").read_text())
    assert manifest == written.manifest
    assert manifest["parameters"] == dataclasses.asdict(SMALL)
    assert manifest["key"] == key(SMALL)
    true = manifest["true"]["positive"]
    assert true["s"] == pytest.approx(0.26736, abs=1e-5)
    assert true["alpha"] == pytest.approx(0.25475, abs=1e-5)
    rows = load(root, "train_data")
    rows = rows[~rows["positive"]]
    found = manifest["tables"]["train_data"]["negative"]
    assert found["pi"] == rows["y"].mean() and found["s"] == rows["label"].mean()
    assert found["c"] == pytest.approx(rows["label"].sum() / rows["y"].sum())


def test_truth_of_what_is_not_there(small, tmp_path):
    with pytest.raises(BadInput, match="test_4.*expected one of train_data"):
        read_truth(str(small[0]), "test_4")
    with pytest.raises(BadInput, match="no such table"):
        read_truth(str(tmp_path), "train_data")


@pytest.fixture
def backgrounds(tmp_path):
    """A table of one MS1 scan: 100 peaks above 150 Th, and some that cannot serve."""
    mz = np.concatenate([[100.0, 149.0], np.linspace(160.5, 1180.5, 100), [1600.0]])
    intensity = np.concatenate([[100.0, 30.0], np.linspace(15, 60, 100), [50.0]])
    rows = {name: [None] * 3 for name in SPECTRA_SCHEMA.names}
    rows["mz_array"], rows["intensity_array"] = [mz] * 3, [intensity] * 3
    table = pa.table(rows, schema=SPECTRA_SCHEMA)
    write_table(str(tmp_path / "real" / "train_data"), SPECTRA_SCHEMA, table.to_batches())
    return str(tmp_path / "real" / "train_data"), mz[2:-1], intensity[2:-1]


def test_backgrounds_replace_the_noise_and_nothing_else(backgrounds, small, tmp_path):
    uri, pool_mz, pool_intensity = backgrounds
    simulation = dataclasses.replace(SMALL, backgrounds=uri)
    write(simulation, str(tmp_path / "x"))
    plain, rows = load(small[0], "train_data"), load(tmp_path / "x", "train_data")
    for name in ("y", "bayes_score", "label", "precursor_mz"):
        np.testing.assert_array_equal(rows[name], plain[name])
    from_pool = []
    for _, row in rows.drop_duplicates(["source_file", "ms1_scan_number"]).iterrows():
        mz, share = row["mz_array"], (row["intensity_array"] / row["intensity_array"].max()) ** 2
        gap = abs(mz[:, None] - pool_mz)
        nearest, hit = gap.argmin(axis=1), gap.min(axis=1) < 1.1e-5 * mz
        expected = (pool_intensity[nearest] / 100) ** 2
        hit &= np.isclose(share, expected, rtol=1e-3)
        low = (mz < 150).sum()
        assert hit.sum() == 30 - low  # every noise peak above 150 Th
        from_pool.append(hit.sum())
    assert np.std(from_pool) > 1
    # the key follows the peaks, not the address
    moved = tmp_path / "elsewhere"
    Path(uri).rename(moved)
    there = dataclasses.replace(SMALL, backgrounds=str(moved))
    assert key(there) == json.loads((tmp_path / "x" / "simulation.json").read_text())["key"]
    assert key(there) != key(SMALL)


def test_bad_backgrounds_are_refused_before_anything_is_written(tmp_path):
    def refused(uri: Path, what: str) -> None:
        simulation = dataclasses.replace(SMALL, backgrounds=str(uri))
        with pytest.raises(BadInput, match=what):
            write(simulation, str(tmp_path / "x"))
        with pytest.raises(BadInput, match=what):
            key(simulation)
        assert not (tmp_path / "x").exists()

    refused(tmp_path / "nowhere", "no such table")
    other = pa.schema([("mz_array", pa.string())])
    write_table(str(tmp_path / "other"), other, pa.table({"mz_array": ["a"]}).to_batches())
    refused(tmp_path / "other", "column mz_array")
    columns = ["mz_array", "intensity_array"]
    schema = pa.schema([SPECTRA_SCHEMA.field(n) for n in columns])
    few = pa.table(dict.fromkeys(columns, [[160.0, 170.0], []]), schema=schema)
    write_table(str(tmp_path / "few"), schema, few.to_batches())
    refused(tmp_path / "few", "only 1 peaks can serve")
    uneven = pa.table({"mz_array": [[160.0, 170.0]], "intensity_array": [[1.0]]}, schema=schema)
    write_table(str(tmp_path / "uneven"), schema, uneven.to_batches())
    refused(tmp_path / "uneven", "2 m/z values but 1 intensities")


# --- on disk --------------------------------------------------------------------------------------


def test_a_second_write_reuses_the_first_and_never_overwrites(tmp_path):
    root = tmp_path / "x"
    root.mkdir()  # an empty folder may be there
    first = write(SMALL, str(root))
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    second = write(SMALL, str(root))
    assert second.reused and not first.reused
    assert second.manifest == first.manifest and second.tables == first.tables
    with pytest.raises(BadInput, match="holds simulation"):
        write(dataclasses.replace(SMALL, seed=9), str(root))
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(BadInput, match="not a simulation"):
        write(SMALL, str(tmp_path / "mine"))
    with pytest.raises(BadInput, match="not a simulation"):
        write(SMALL, str(tmp_path / "mine" / "notes.txt"))
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    (root / "truth" / "_versions").rename(tmp_path / "gone")
    with pytest.raises(BadInput, match="table truth is gone"):
        write(SMALL, str(root))
    with pytest.raises(BadInput, match="local folder"):
        write(SMALL, "s3://bucket/x")


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("disk full")

    monkeypatch.setattr(simulate, "truth_batches", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        write(SMALL, str(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []


def test_two_racing_writers_both_end_with_the_same_tables(tmp_path, monkeypatch):
    gate = threading.Barrier(2, timeout=60)
    whole = simulate._write_all

    def wait_for_the_other(*args):
        manifest = whole(*args)
        gate.wait()  # both have everything in staging; neither has renamed
        return manifest

    monkeypatch.setattr(simulate, "_write_all", wait_for_the_other)
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(write(SMALL, str(tmp_path / "x"))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(d.reused for d in done) == [False, True]
    assert done[0].manifest == done[1].manifest
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
