import json
import statistics

import numpy as np
import pytest

from priorwise.errors import BadInput
from priorwise.spectra.schema import NUMERIC_SETTINGS
from priorwise.spectra.settings import (
    SETTING_NAMES,
    RunningStats,
    SettingsStats,
    missing_settings,
    normalise,
    raw_settings,
)


def test_layout_of_the_22_floats():
    raw = raw_settings(
        {
            "MS2 Isolation Width": 1.5,
            "Micro Scan Count": 1,
            "Polarity": "negative",
            "Ionization": "ESI",
            "Mild Trapping Mode": "Off",
            "Activation1": "HCD",
        }
    )
    assert raw[0] == 1.5 and raw[13] == 1
    np.testing.assert_array_equal(raw[14:], [1, 0, 0, 1, 1, 0, 0, 1])


def test_nothing_stated_is_all_missing_and_all_zero():
    raw = raw_settings({})[None]
    assert missing_settings(raw).all() and missing_settings(raw).shape == (1, 18)
    stats = SettingsStats((5.0,) * 14, (2.0,) * 14, (1,) * 14, 1, "train_data")
    np.testing.assert_array_equal(normalise(raw, stats), np.zeros((1, 22)))


def test_a_setting_that_no_training_row_states_stays_out_whatever_its_value():
    raw = raw_settings({"Conversion Parameter C": -4.1e7, "Charge State": 3})[None]
    known = tuple(int(name != "Conversion Parameter C") for name in NUMERIC_SETTINGS)
    stats = SettingsStats((0.0,) * 14, (1.0,) * 14, known, 1, "train_data")
    z = normalise(raw, stats)[0]
    assert z[NUMERIC_SETTINGS.index("Conversion Parameter C")] == 0
    assert z[NUMERIC_SETTINGS.index("Charge State")] == 3
    published = SettingsStats((0.0,) * 14, (1e7,) * 14, (0,) * 14, 0, "published")
    z = normalise(raw, published)[0]
    assert z[NUMERIC_SETTINGS.index("Conversion Parameter C")] == pytest.approx(-4.1)


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ({"Charge State": 0}, "Charge State"),
        ({"Energy1": float("nan")}, "Energy1"),
        ({"Energy1": float("inf")}, "Energy1"),
        ({"Ionization": "APCI"}, "Ionization"),
        ({"Mild Trapping Mode": ""}, "Mild Trapping Mode"),
    ],
)
def test_what_says_nothing_is_missing(named, missing):
    assert missing_settings(raw_settings(named)[None])[0, SETTING_NAMES.index(missing)]


def test_zero_of_another_setting_is_a_value_and_charge_is_a_magnitude():
    raw = raw_settings({"LM m/z-Correction (ppm)": 0.0, "Charge State": -2})
    assert raw[12] == 0 and raw[1] == 2


def test_unknown_name_is_refused():
    with pytest.raises(BadInput, match="Colour"):
        raw_settings({"Colour": 1})


def some_rows(n=500):
    rng = np.random.default_rng(3)
    raw = rng.normal(1e8, 3.0, (n, 22))
    raw[rng.random((n, 22)) < 0.3] = np.nan
    raw[:, 4] = np.where(np.isnan(raw[:, 4]), np.nan, 0.1)  # constant
    raw[:, 5] = np.nan
    return raw


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_streaming_statistics_against_the_standard_library(batch):
    raw = some_rows()
    running = RunningStats()
    for start in range(0, len(raw), batch):
        running.update(raw[start : start + batch])
    stats = running.result("train_data")
    for column in range(14):
        known = [v for v in raw[:, column].tolist() if v == v]
        assert stats.n_known[column] == len(known)
        if column == 5:
            assert (stats.mean[column], stats.std[column]) == (0, 1)
        elif column == 4:
            assert stats.std[column] == 1 and stats.mean[column] == pytest.approx(0.1)
        else:
            assert stats.mean[column] == pytest.approx(statistics.fmean(known), rel=1e-12)
            assert stats.std[column] == pytest.approx(statistics.pstdev(known), rel=1e-6)


def test_merged_statistics_are_those_of_all_rows():
    raw = some_rows()
    parts, whole = [RunningStats() for _ in range(3)], RunningStats()
    for part, rows in zip(parts, np.array_split(raw, [100, 130]), strict=True):
        part.update(rows)
    whole.update(raw)
    for part in parts[1:]:
        parts[0].merge(part)
    got, want = parts[0].result("a"), whole.result("a")
    np.testing.assert_allclose(got.mean, want.mean)
    np.testing.assert_allclose(got.std, want.std, rtol=1e-6)
    assert got.n_rows == 500


def test_z_scores_have_mean_0_and_std_1_where_known():
    raw = some_rows()
    running = RunningStats()
    running.update(raw)
    z = normalise(raw, running.result("train_data"))
    known = ~np.isnan(raw[:, 0])
    assert z[known, 0].mean() == pytest.approx(0, abs=1e-4)
    assert z[known, 0].std() == pytest.approx(1, rel=1e-4)
    assert (z[~known, 0] == 0).all() and np.isfinite(z).all()


def test_statistics_survive_a_file(tmp_path):
    running = RunningStats()
    running.update(some_rows())
    stats = running.result("train_data")
    (tmp_path / "settings_stats.json").write_text(stats.to_json())
    assert SettingsStats.load(tmp_path) == stats
    assert json.loads(stats.to_json())["settings"] == list(NUMERIC_SETTINGS)


@pytest.mark.parametrize("change", [{"std": [0.0] * 14}, {"mean": [1.0]}, {"settings": ["x"]}])
def test_odd_statistics_are_refused(tmp_path, change):
    good = json.loads(SettingsStats((0.0,) * 14, (1.0,) * 14, (1,) * 14, 1, "x").to_json())
    with pytest.raises(BadInput):
        SettingsStats.from_json(json.dumps({**good, **change}))
    with pytest.raises(BadInput, match="settings_stats.json"):
        SettingsStats.load(tmp_path)
