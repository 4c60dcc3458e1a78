"""`mlflow models serve`: 200 for what is sound, 400 for what is not, never 500, never NaN."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from tests.serving.frames import raw_frame, table_frame
from tests.serving.scoring import (
    KEYS,
    NO_REQUESTS,
    answers,
    any_rows,
    ask,
    records,
    scoring_server,
)


@pytest.fixture(scope="module")
def server(pyfunc, tmp_path_factory):
    """Address of a scoring server."""
    with scoring_server(pyfunc, tmp_path_factory.mktemp("server")) as address:
        yield address


def test_every_form_of_request(server, model):
    frame = table_frame(5)
    expected = model.predict(frame)
    split = json.loads(frame.to_json(orient="split"))
    lists = {"inputs": json.loads(frame.to_json(orient="records"))}
    for body in (records(frame), {"dataframe_split": split}, lists):
        found = answers(ask(server, body))
        assert [row["probability"] for row in found] == pytest.approx(
            expected["probability"].tolist(), abs=1e-6
        )
        assert [row["identifiable"] for row in found] == expected["identifiable"].tolist()


def test_params(server, model):
    frame = table_frame(5)
    for threshold in (0, 1, 0.5):
        found = answers(ask(server, {**records(frame), "params": {"threshold": threshold}}))
        expected = model.predict(frame, params={"threshold": threshold})["identifiable"]
        assert [row["identifiable"] for row in found] == expected.tolist()
    raw = raw_frame(4)
    found = answers(ask(server, {**records(raw), "params": {"raw": True}}))
    expected = model.predict(raw, params={"raw": True})["probability"]
    assert [row["probability"] for row in found] == pytest.approx(expected.tolist(), abs=1e-6)


def test_whole_numbers(server):
    frame = table_frame(3)
    for name in ("mz_array", "intensity_array"):
        frame[name] = [[round(value) for value in cell] for cell in frame[name]]
    frame["precursor_mz"] = [100, 200, 300]
    assert len(answers(ask(server, records(frame)))) == 3


def test_no_rows(server):
    assert ask(server, {"dataframe_records": []}).status_code == 400  # no rows, so no columns
    columns = json.loads(table_frame(1).to_json(orient="split"))["columns"]
    assert answers(ask(server, {"dataframe_split": {"columns": columns, "data": []}})) == []


@pytest.mark.parametrize("body", NO_REQUESTS, ids=lambda body: json.dumps(body)[:50])
def test_well_formed_json_that_is_no_request_is_refused(server, body):
    response = ask(server, body)
    assert 400 <= response.status_code < 500, (response.status_code, response.text[-1500:])


FRAME = table_frame(4)
BAD_CELLS = [
    ("mz_array", None, "mz_array"),
    ("mz_array", [], "no peaks"),
    ("mz_array", "abc", "mz_array"),
    ("mz_array", [1.0], "mz_array"),
    ("mz_array", ["a"], "mz_array"),
    ("mz_array", [[1.0]], "mz_array"),
    ("intensity_array", [None] * len(FRAME["mz_array"][2]), "intensity_array"),
    ("intensity_array", [math.nan] * len(FRAME["mz_array"][2]), "intensity_array"),
    ("intensity_array", [math.inf] * len(FRAME["mz_array"][2]), "intensity_array"),
    ("intensity_array", [-1] * len(FRAME["mz_array"][2]), "intensity_array"),
    ("intensity_array", [10**400] * len(FRAME["mz_array"][2]), ""),
    ("precursor_mz", "heavy", "precursor_mz"),
    ("precursor_mz", None, "precursor_mz"),
    ("precursor_mz", 1e400, "precursor_mz"),
    ("instrument_settings", [0] * 22, "instrument_settings"),
    ("instrument_settings", [7] * 22, "instrument_settings"),
    ("instrument_settings", None, "instrument_settings"),
    ("instrument_settings", {}, "instrument_settings"),
]


@pytest.mark.parametrize(("column", "value", "said"), BAD_CELLS)
def test_bad_cells_are_refused(server, column, value, said):
    rows = records(FRAME)["dataframe_records"]
    rows[2][column] = value
    response = ask(server, {"dataframe_records": rows})
    assert response.status_code == 400, response.text[-500:]
    assert said in response.text or "row 2" in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize("column", list(FRAME))
def test_missing_columns_are_named(server, column):
    response = ask(server, records(FRAME.drop(columns=column)))
    assert response.status_code == 400 and column in response.text


@pytest.mark.parametrize("params", [{"threshold": "x"}, {"threshold": 2}, {"raw": "x"}, 5, [], "x"])
def test_bad_params(server, params):
    response = ask(server, {**records(FRAME), "params": params})
    assert response.status_code == 400, response.text[-500:]


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [("{", "application/json", 400), ("", "application/json", 400), ("a,b", "text/html", 415)],
)
def test_what_is_no_json_at_all(server, text, kind, code):
    assert ask(server, text, kind).status_code == code


def test_a_long_spectrum_is_refused_and_many_rows_are_not(server):
    long = table_frame(1)
    long["mz_array"], long["intensity_array"] = [[100.0] * 5000], [[1.0] * 5000]
    assert ask(server, records(long)).status_code == 400
    assert len(answers(ask(server, records(table_frame(2000, longest=4))))) == 2000


@pytest.mark.slow
def test_98_large_requests(server):
    """20,000 rows, a million peaks, a body of 50 MB."""
    one = records(table_frame(1, longest=4))["dataframe_records"]
    rows = answers(ask(server, {"dataframe_records": one * 20_000}))
    assert len(rows) == 20_000 and len({row["probability"] for row in rows}) == 1
    peaks = {
        "mz_array": [100 + i / 1e4 for i in range(1_000_000)],
        "intensity_array": [1.0] * 1_000_000,
    }
    refused = ask(server, {"dataframe_records": [one[0] | peaks]})
    assert refused.status_code == 400 and "1000000 peaks" in refused.text
    raw = records(raw_frame(4))["dataframe_records"][0] | peaks
    assert len(answers(ask(server, {"dataframe_records": [raw], "params": {"raw": True}}))) == 1
    assert len(answers(ask(server, {"dataframe_records": [one[0] | {"x": "y" * 50_000_000}]}))) == 1


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=KEYS, rows=any_rows(list(FRAME)))
def test_any_json_is_answered_with_200_or_400(server, key, rows):
    response = ask(server, {key: rows})
    assert response.status_code in (200, 400), (response.status_code, response.text[-800:])
    if response.status_code == 200:
        answers(response)


@pytest.mark.parametrize(
    "text",
    [
        '{"dataframe_split": {"columns": [{}, {}], "data": [[1, 2]]}}',
        '{"inputs": [{"mz_array": [%s]}]}' % ("9" * 5000),
        '{"inputs": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=["columns are objects", "5,000 digits", "nested"],
)
def test_what_breaks_the_parser_is_the_requests_fault(server, text):
    assert ask(server, text).status_code == 400
