"""`mlflow models serve` of an RNA model: 200 for what is sound, 400 for what is not, never 500."""

import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from tests.serving.scoring import (
    KEYS,
    NO_REQUESTS,
    answers,
    any_rows,
    ask,
    records,
    scoring_server,
)

FRAME = pd.DataFrame({"sequence": ["GGGAGCUUCGGCUCCC", "acgt", "GGCACGAAAGTGCCNN"]})


@pytest.fixture(scope="module")
def server(rna_pyfunc, tmp_path_factory):
    """Address of a scoring server."""
    with scoring_server(rna_pyfunc, tmp_path_factory.mktemp("server")) as address:
        yield address


def same(found, expected) -> None:
    assert [row["dot_bracket"] for row in found] == expected["dot_bracket"].tolist()
    assert [row["pairs"] for row in found] == expected["pairs"].tolist()
    confidence = [row["confidence"] for row in found]
    assert confidence == pytest.approx(expected["confidence"].tolist(), abs=1e-6)
    assert set(found[0]) == {"dot_bracket", "pairs", "confidence"}


def test_every_form_of_request(server, rna_model):
    expected = rna_model.predict(FRAME)
    assert expected["pairs"].str.len().sum() > 0
    split = json.loads(FRAME.to_json(orient="split"))
    rows = json.loads(FRAME.to_json(orient="records"))
    for body in (
        records(FRAME),
        {"dataframe_split": split},
        {"inputs": rows},
        {"instances": rows},
        {"inputs": {"sequence": list(FRAME["sequence"])}},
        {"inputs": list(FRAME["sequence"])},
        {"dataframe_split": {**split, "index": [5, 5, 5]}},
    ):
        same(answers(ask(server, body)), expected)


def test_params(server, rna_model):
    for params in ({"threshold": 0}, {"threshold": 1}, {"threshold": 0.35, "method": "greedy"}):
        found = answers(ask(server, {**records(FRAME), "params": params}))
        same(found, rna_model.predict(FRAME, params=params))


def test_no_rows(server):
    assert ask(server, {"dataframe_records": []}).status_code == 400  # no rows, so no columns
    assert answers(ask(server, {"dataframe_split": {"columns": ["sequence"], "data": []}})) == []
    assert answers(ask(server, {"inputs": []})) == []


@pytest.mark.parametrize(
    "body",
    [body for body in NO_REQUESTS if body != {"inputs": []}],  # no rows of the one column
    ids=lambda body: json.dumps(body)[:50],
)
def test_well_formed_json_that_is_no_request_is_refused(server, body):
    response = ask(server, body)
    assert 400 <= response.status_code < 500, (response.status_code, response.text[-1500:])


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (None, "row 1: nothing"),
        ("", "row 1: no bases"),
        (5, "row 1: int"),
        (1e400, "row 1: "),
        (True, "row 1: bool"),
        ([], "row 1: list"),
        (["ACGU"], "row 1: list"),
        ({}, "row 1: dict"),
        ("ACGX", "letter 'X' at position 4"),
        ("ACG U", "letter ' ' at position 4"),
        ("((...))", "row 1: letter"),
        ("A" * 2001, "2001 bases"),
        ("\0", "row 1: letter"),
        ("\u00b5", "row 1: letter"),
        ("\U0001f9ec", "row 1: letter"),
    ],
)
def test_bad_cells_are_refused(server, cell, said):
    response = ask(server, {"dataframe_records": [{"sequence": c} for c in ("ACGU", cell)]})
    assert response.status_code == 400, response.text[-500:]
    assert said in response.json()["message"] and "Traceback" not in response.text


@pytest.mark.parametrize("cells", [[None], [5], [1.5, 2], [[]], [{"a": 1}], [True]])
def test_columns_without_any_text_are_refused(server, cells):
    response = ask(server, {"dataframe_records": [{"sequence": cell} for cell in cells]})
    assert response.status_code == 400 and "sequence" in response.text


def test_a_missing_column_is_named(server):
    response = ask(server, records(FRAME.rename(columns={"sequence": "seq"})))
    assert response.status_code == 400 and "sequence" in response.text


def test_a_column_given_twice(server):
    body = {"dataframe_split": {"columns": ["sequence", "sequence"], "data": [["A", "C"]]}}
    assert ask(server, body).status_code == 400


@pytest.mark.parametrize(
    "params",
    [{"threshold": "x"}, {"threshold": 2}, {"method": "best"}, {"method": 1}, {"method": []},
     5, [], "x"],
)  # fmt: skip
def test_bad_params(server, params):
    response = ask(server, {**records(FRAME), "params": params})
    assert response.status_code == 400, response.text[-500:]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        '{"dataframe_records": [{"sequence": "\\ud800"}]}',
        '{"dataframe_split": {"columns": [{}, {}], "data": [[1, 2]]}}',
        '{"inputs": [{"sequence": %s}]}' % ("9" * 5000),
        '{"inputs": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=["open", "empty", "half a character", "columns are objects", "5,000 digits", "nested"],
)
def test_what_breaks_the_parser_is_the_requests_fault(server, text):
    assert ask(server, text).status_code == 400


def test_csv(server, rna_model):
    found = answers(ask(server, FRAME.to_csv(index=False), "text/csv"))
    same(found, rna_model.predict(FRAME))
    assert ask(server, "a,b", "text/html").status_code == 415


def test_many_rows(server):
    frame = pd.DataFrame({"sequence": ["GGGAAACCC"] * 500})
    found = answers(ask(server, records(frame)))
    assert len(found) == 500 and all(row == found[0] for row in found)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=KEYS, rows=any_rows(["sequence"]))
def test_any_json_is_answered_with_200_or_400(server, key, rows):
    response = ask(server, {key: rows})
    assert response.status_code in (200, 400), (response.status_code, response.text[-800:])
    if response.status_code == 200:
        answers(response)
