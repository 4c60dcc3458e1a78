"""The model as others use it: data frames in, answers or one clear line out."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.types import DataType
from mlflow.types.schema import Array
from tests.serving.conftest import STATS, network_folder
from tests.serving.frames import raw_frame, table_frame

from priorwise.serving.spectra_frames import NAMED_CATEGORIES
from priorwise.spectra.preprocess import preprocess_ms1
from priorwise.spectra.schema import NUMERIC_SETTINGS
from priorwise.spectra.settings import normalise, raw_settings

CLOSE = 1e-6


def refused(model, frame, params=None) -> str:
    with pytest.raises(MlflowException) as caught:
        model.predict(frame, params=params)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    return caught.value.message


def test_answers(model):
    frame = table_frame()
    frame.index = frame.index + 100
    found = model.predict(frame)
    assert list(found.columns) == ["probability", "identifiable"]
    assert list(found.index) == list(frame.index)
    assert found["probability"].between(0, 1).all() and found["probability"].nunique() == 12
    assert found["identifiable"].dtype == bool
    assert (found["identifiable"] == (found["probability"] >= 0.6)).all()
    assert found["identifiable"].nunique() == 2


def test_threshold_can_be_overridden(model):
    frame = table_frame()
    probability = model.predict(frame)["probability"]
    for threshold in (0, 0.2, float(probability[3]), 1):
        found = model.predict(frame, params={"threshold": threshold})
        assert (found["identifiable"] == (probability >= threshold)).all()
    for threshold in (-0.1, 1.1, math.nan):
        assert "threshold" in refused(model, frame, {"threshold": threshold})


def test_signature_is_of_double_arrays(model):
    inputs = model.metadata.signature.inputs.input_dict()
    for name in ("mz_array", "intensity_array", "instrument_settings"):
        assert inputs[name].type == Array(DataType.double)
    assert {*NUMERIC_SETTINGS, *NAMED_CATEGORIES, "polarity"} < set(inputs)


def test_kinds_of_numbers(model):
    frame = table_frame()
    for name in ("mz_array", "intensity_array"):
        frame[name] = [np.round(cell).tolist() for cell in frame[name]]
    frame["precursor_mz"] = frame["precursor_mz"].round()
    frame["instrument_settings"] = [
        [float(round(value)) for value in cell] for cell in frame["instrument_settings"]
    ]
    expected = model.predict(frame)["probability"]
    arrays = ["mz_array", "intensity_array", "instrument_settings"]
    for kind in (int, np.int64, np.int32, np.uint16, np.float32, np.float64):
        # unsigned numbers cannot hold the negative settings
        names = arrays[:2] if kind is np.uint16 else arrays
        other = frame.copy()
        for name in names:
            cells = [np.asarray(cell, dtype=kind) for cell in frame[name]]
            other[name] = [cell.tolist() for cell in cells] if kind is int else cells
        if kind is int:
            other["precursor_mz"] = frame["precursor_mz"].astype(int)
        found = model.predict(other)["probability"]
        assert found.to_numpy() == pytest.approx(expected.to_numpy(), abs=CLOSE), kind


def test_whole_numbers_that_are_no_doubles_are_refused(model):
    frame = table_frame(1)
    frame["precursor_mz"] = [2**60]
    assert "precursor_mz" in refused(model, frame)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 40))
def test_alone_or_in_any_batch_and_order(model, seed, n):
    frame = table_frame(n, seed)
    together = model.predict(frame)["probability"].to_numpy()
    alone = [model.predict(frame.iloc[[i]])["probability"].iloc[0] for i in range(min(n, 5))]
    assert alone == pytest.approx(together[: len(alone)], abs=CLOSE)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = model.predict(frame.iloc[order])["probability"].to_numpy()
    assert shuffled == pytest.approx(together[order], abs=CLOSE)


def test_peak_order_does_not_matter(model):
    frame = table_frame(6)
    turned = frame.copy()
    for name in ("mz_array", "intensity_array"):
        turned[name] = [cell[::-1] for cell in frame[name]]
    expected = model.predict(frame)["probability"].to_numpy()
    assert model.predict(turned)["probability"].to_numpy() == pytest.approx(expected, abs=CLOSE)


def test_twice_is_bitwise_equal(model):
    frame = table_frame(40, longest=200)
    assert model.predict(frame).equals(model.predict(frame))


def test_raw_rows_are_what_ingest_makes_of_them(model):
    raw = raw_frame()
    rows = []
    for record in raw.to_dict("records"):
        mz, intensity = preprocess_ms1(record["mz_array"], record["intensity_array"])
        named = {name: record[name] for name in ("MS2 Isolation Width", "Charge State")}
        if record["Ionization"] is not None:
            named["Ionization"] = record["Ionization"]
        vector = raw_settings({**named, "Polarity": record["polarity"]})
        rows.append(
            {
                "mz_array": mz,
                "intensity_array": intensity,
                "precursor_mz": record["precursor_mz"],
                "instrument_settings": normalise(vector[None], STATS)[0],
            }
        )
    expected = model.predict(pd.DataFrame(rows))["probability"].to_numpy()
    found = model.predict(raw, params={"raw": True})["probability"].to_numpy()
    assert found == pytest.approx(expected, abs=CLOSE)
    # the same peaks taken for those of a table would be another answer
    as_table = pd.DataFrame(rows).assign(intensity_array=lambda f: f["intensity_array"] ** 2)
    assert np.abs(model.predict(as_table)["probability"] - expected).max() > CLOSE


def test_raw_needs_statistics(tmp_path):
    import mlflow

    from priorwise.serving.spectra_package import SPECTRA

    folder = network_folder(tmp_path / "network")
    SPECTRA.write(folder, tmp_path / "model", "m-" + "1" * 32, "")
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert len(model.predict(table_frame(3))) == 3
    assert "mean and deviation" in refused(model, raw_frame(), {"raw": True})


def spoilt(frame, column, row, value):
    frame = frame.copy()
    frame[column] = frame[column].astype(object)
    frame.at[row, column] = value
    return frame


def setting(frame, row, **at):
    values = list(frame["instrument_settings"][row])
    for index, value in at.items():
        values[int(index[1:])] = value
    return values


FRAME = table_frame(5)
PEAKS = FRAME["mz_array"][3]
BAD_TABLE = [
    ("mz_array", [math.nan] * len(PEAKS)),
    ("intensity_array", [*FRAME["intensity_array"][3][:-1], math.nan]),
    ("mz_array", [*PEAKS[:-1], math.inf]),
    ("intensity_array", [*PEAKS[:-1], -math.inf]),
    ("intensity_array", [*PEAKS[:-1], 1e30]),
    ("intensity_array", [*PEAKS[:-1], -1.0]),
    ("mz_array", []),
    ("intensity_array", FRAME["intensity_array"][3][:-1]),
    ("precursor_mz", math.nan),
    ("precursor_mz", math.inf),
    ("precursor_mz", -5.0),
    ("instrument_settings", [0.0] * 21),
    ("instrument_settings", []),
    ("instrument_settings", setting(FRAME, 3, _2=math.nan)),
    ("instrument_settings", setting(FRAME, 3, _14=0.0, _15=7.0)),
    ("instrument_settings", setting(FRAME, 3, _14=0.0, _15=1.5)),
    ("instrument_settings", setting(FRAME, 3, _14=0.0, _15=0.0)),
    ("instrument_settings", setting(FRAME, 3, _14=1.0, _15=1.0)),
]


@pytest.mark.parametrize(("column", "value"), BAD_TABLE)
def test_bad_rows_are_named(model, column, value):
    message = refused(model, spoilt(FRAME, column, 3, value))
    unequal = column == "mz_array" and not value
    assert "row 3" in message and ("intensity_array" if unequal else column) in message
    assert "nan" not in message.lower() or "nan" in str(value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("mz_array", ["a", "b"]),
        ("mz_array", "text"),
        ("mz_array", [[1.0], [2.0]]),
        ("mz_array", None),
        ("intensity_array", [None, 1.0]),
        ("precursor_mz", "heavy"),
        ("instrument_settings", {"a": 1}),
        ("instrument_settings", [True] * 22),
    ],
)
def test_other_types_are_refused(model, column, value):
    refused(model, spoilt(FRAME, column, 3, value))


@pytest.mark.parametrize("column", list(FRAME))
def test_a_missing_column_is_named(model, column):
    assert column in refused(model, FRAME.drop(columns=column))


RAW = raw_frame(6)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("polarity", "7"),
        ("polarity", "1"),
        ("polarity", None),
        ("Ionization", "MALDI"),
        ("Charge State", math.inf),
        ("intensity_array", [0.0] * 600),
        ("mz_array", [math.nan] * 600),
    ],
)
def test_bad_raw_rows_are_named(model, column, value):
    message = refused(model, spoilt(RAW, column, 3, value), {"raw": True})
    assert "row 3" in message and column in message


@pytest.mark.parametrize("column", ["polarity", "Ionization"])
def test_a_raw_cell_that_compares_with_nothing_is_named(model, column):
    frame = RAW.copy()
    cell = np.array(["positive", "ESI"])
    frame[column] = pd.Series(["positive" if column == "polarity" else "ESI"] * 3 + [cell] * 3)
    assert f"column {column}, row 3" in refused(model, frame, {"raw": True})


def test_a_raw_polarity_of_pandas_na_is_named(model):
    frame = RAW.copy()
    frame["polarity"] = pd.array(["positive"] * 3 + [pd.NA] * 3, dtype="string")
    assert "column polarity, row 3" in refused(model, frame, {"raw": True})


def test_raw_settings_may_be_missing(model):
    bare = RAW[["mz_array", "intensity_array", "precursor_mz", "polarity"]]
    assert model.predict(bare, params={"raw": True})["probability"].between(0, 1).all()
    assert "polarity" in refused(model, bare.drop(columns="polarity"), {"raw": True})


def test_no_rows_give_no_answers(model):
    found = model.predict(FRAME.iloc[:0])
    assert len(found) == 0 and list(found.columns) == ["probability", "identifiable"]


def test_a_row_may_have_too_many_peaks(model):
    many = 4001
    frame = spoilt(FRAME, "mz_array", 3, [100.0] * many)
    frame.at[3, "intensity_array"] = [1.0] * many
    assert "at most 4000" in refused(model, frame)


def test_other_columns_are_ignored(model):
    frame = FRAME.assign(label=1.0, note="x")
    assert model.predict(frame).equals(model.predict(FRAME))


def test_a_model_of_one_polarity_refuses_the_other(tmp_path):
    import mlflow

    from priorwise.serving.spectra_package import SPECTRA

    folder = network_folder(tmp_path / "network", polarity="negative")
    SPECTRA.write(folder, tmp_path / "model", "m-" + "2" * 32, "")
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    positive = np.array([row[15] == 1 for row in FRAME["instrument_settings"]])
    assert len(model.predict(FRAME[~positive])) == (~positive).sum() > 0
    assert f"row {np.argmax(positive)}" in refused(model, FRAME)
