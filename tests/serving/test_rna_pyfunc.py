"""The RNA model as others use it: sequences in, structures or one clear line out."""

import math

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from tests.rna import tiny_network

from priorwise.errors import BadInput
from priorwise.rna import viennarna
from priorwise.rna.decoding import Decoder
from priorwise.rna.features import feature_maps
from priorwise.rna.predict import predict, rows_of
from priorwise.rna.saved_model import load_saved_model
from priorwise.rna.structure import CANONICAL, pairs_of
from priorwise.serving.rna_package import FEATURE_PINS, RNA

CLOSE = 1e-6
COLUMNS = ["dot_bracket", "pairs", "confidence"]


def random_sequences(lengths, seed=0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGU"), length)) for length in lengths]


def frame_of(*sequences) -> pd.DataFrame:
    return pd.DataFrame({"sequence": list(sequences)})


def packed(folder, tmp_path):
    """The model of a network folder, loaded."""
    RNA.write(folder, tmp_path / "model", "m-" + "2" * 32, "")
    return mlflow.pyfunc.load_model(str(tmp_path / "model"))


def in_process(folder, sequences, **changes):
    """What the rna package itself makes of sequences: probabilities, pairs."""
    saved = load_saved_model(folder)
    decoder = Decoder.from_dict({**saved.decoder.to_dict(), **changes})
    rows = rows_of(sequences)
    maps = feature_maps(sequences, saved.features)
    found = {p.row: p for p in predict(saved.network, rows, maps)}
    return [
        (p.pairs, decoder.decode(p.pairs, rows.tokens_of_row(k), p.stems))
        for k, p in sorted(found.items())
    ]


def equal(frame, expected) -> None:
    """The frame says the pairs, and their mean probability."""
    for row, (probabilities, pairs) in zip(frame.to_dict("records"), expected, strict=True):
        assert row["pairs"] == [[int(i) + 1, int(j) + 1] for i, j in pairs]
        assert pairs_of(row["dot_bracket"]).tolist() == pairs.tolist()
        assert len(row["dot_bracket"]) == len(probabilities)
        if len(pairs):
            mean = float(np.mean([probabilities[i, j] for i, j in pairs], dtype=float))
        else:
            mean = 1 - max(
                (
                    float(probabilities[i, j])
                    for i in range(len(probabilities))
                    for j in range(i + 4, len(probabilities))
                ),
                default=0.0,
            )
        assert row["confidence"] == pytest.approx(mean, abs=CLOSE)


def refused(model, frame, params=None) -> str:
    with pytest.raises(MlflowException) as caught:
        model.predict(frame, params=params)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    return caught.value.message


def test_answers(rna_model, rna_network):
    sequences = random_sequences([1, 2, 4, 5, 6, 17, 40, 41, 64, 90])
    frame = frame_of(*sequences)
    frame.index = frame.index + 100
    found = rna_model.predict(frame)
    assert list(found.columns) == COLUMNS and list(found.index) == list(frame.index)
    assert found["confidence"].between(0, 1).all()
    assert found["confidence"].dtype == float
    assert all(type(place) is int for pairs in found["pairs"] for pair in pairs for place in pair)
    expected = in_process(rna_network, sequences)
    equal(found, expected)
    assert sum(len(pairs) for _, pairs in expected) > 20
    assert sum(not len(pairs) for _, pairs in expected) >= 3


@pytest.mark.parametrize("length", [*range(1, 14), 63, 64, 65, 127, 255, 256, 257, 511, 512])
def test_every_length(rna_model, rna_network, length):
    sequences = random_sequences([length], seed=length)
    equal(rna_model.predict(frame_of(*sequences)), in_process(rna_network, sequences))


@pytest.mark.parametrize("method", ["greedy", "matching", "nested"])
@pytest.mark.parametrize("threshold", [0.35, 0.5, 0.9])
def test_params(rna_model, rna_network, method, threshold):
    sequences = random_sequences([30, 45, 60], seed=1)
    wanted = {"threshold": threshold, "method": method}
    found = rna_model.predict(frame_of(*sequences), params=wanted)
    equal(found, in_process(rna_network, sequences, **wanted))


def test_params_change_the_answer_and_not_the_model(rna_model, rna_network):
    sequences = random_sequences([60, 70], seed=2)
    frame = frame_of(*sequences)
    own = rna_model.predict(frame)
    assert not own.equals(rna_model.predict(frame, params={"threshold": 0.1}))
    crossing = rna_model.predict(frame, params={"method": "greedy", "threshold": 0.2})
    assert any("[" in text for text in crossing["dot_bracket"]), "pairs may cross"
    assert rna_model.predict(frame).equals(own)
    equal(own, in_process(rna_network, sequences, threshold=0.4, method="nested"))
    assert rna_model.predict(frame, params={"threshold": 1})["pairs"].tolist() == [[], []]


def test_what_else_the_decoder_says_stays(tmp_path):
    decoder = Decoder(
        method="greedy", canonical_only=True, noncanonical_penalty=0.1, stem_weight=0.3
    )
    folder = tiny_network.network_folder(tmp_path / "network", decoder=decoder.to_dict())
    model = packed(folder, tmp_path)
    sequences = random_sequences([50, 60], seed=3)
    for params in ({}, {"threshold": 0.35}, {"method": "nested"}):
        found = model.predict(frame_of(*sequences), params=params)
        equal(found, in_process(folder, sequences, **params))
        for text, pairs in zip(sequences, found["pairs"], strict=True):
            assert {text[i - 1] + text[j - 1] for i, j in pairs} <= CANONICAL, "counted from 1"


def test_bad_params(rna_model):
    frame = frame_of("GGGGAAAACCCC")
    for threshold in (-0.1, 1.1, math.nan, math.inf):
        assert "threshold" in refused(rna_model, frame, {"threshold": threshold})
    message = refused(rna_model, frame, {"method": "viterbi"})
    assert message == "params: method 'viterbi' (expected greedy or matching or nested)"
    assert "method" in refused(rna_model, frame, {"method": 5})


def test_dna_and_lower_case_are_read(rna_model):
    (text,) = random_sequences([50])
    expected = rna_model.predict(frame_of(text, text, text, text))
    others = (text, text.lower(), text.replace("U", "T"), text.lower().replace("u", "t"))
    assert rna_model.predict(frame_of(*others)).equals(expected)
    assert len(rna_model.predict(frame_of("NNNNNNNNNNNN"))["dot_bracket"][0]) == 12


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 12))
def test_alone_or_in_any_batch_and_order(rna_model, seed, n):
    rng = np.random.default_rng(seed)
    frame = frame_of(*random_sequences(rng.integers(1, 50, n), seed))
    together = rna_model.predict(frame)
    order = rng.permutation(n)
    shuffled = rna_model.predict(frame.iloc[order])
    assert shuffled.equals(together.iloc[order]), "to the last bit"
    for k in range(min(n, 4)):
        assert rna_model.predict(frame.iloc[[k]]).equals(together.iloc[[k]])


def test_twice_is_equal_and_rows_may_share_a_name(rna_model):
    frame = frame_of(*random_sequences([20, 30, 20]))
    frame.index = [7, 7, 7]
    found = rna_model.predict(frame)
    assert found.equals(rna_model.predict(frame)) and list(found.index) == [7, 7, 7]


BAD = [
    (None, "nothing"),
    (math.nan, "nothing"),
    (pd.NA, "nothing"),
    ("", "no bases"),
    (5, "int"),
    (True, "bool"),
    (["ACGU"], "list"),
    ({"a": 1}, "dict"),
    (b"ACGU", "bytes"),
    ("ACGUX", "letter 'X' at position 5"),
    ("AC GU", "letter ' ' at position 3"),
    (" ACGU", "letter ' ' at position 1"),
    ("ACGU\n", r"letter '\n' at position 5"),
    ("ACG-U", "letter '-' at position 4"),
    ("ACGRU", "letter 'R' at position 4"),
    ("ﬀACGU", "letter 'ﬀ' at position 1"),
    ("ACG\0", r"letter '\x00' at position 4"),
    (">id ACGU", "letter '>' at position 1"),
    ("((..))", "letter '(' at position 1"),
    ("A" * 2001, "2001 bases (expected at most 2000)"),
    ("X" * 10**7, "10000000 bases (expected at most 2000)"),
]


@pytest.mark.parametrize(("cell", "said"), BAD, ids=range(len(BAD)))
def test_bad_rows_are_named(rna_model, cell, said):
    frame = pd.DataFrame({"sequence": pd.Series(["ACGU", "GG", cell, "AC"], dtype=object)})
    message = refused(rna_model, frame)
    assert message.startswith("column sequence, row 2: ") and said in message
    assert "nan" not in message.lower() and len(message.splitlines()) == 1 and len(message) < 200


@pytest.mark.parametrize("cells", [[1, 2], [1.5], [math.nan], [True], [[1.0]]])
def test_columns_without_any_text_are_refused(rna_model, cells):
    assert "sequence" in refused(rna_model, pd.DataFrame({"sequence": cells}))


def test_columns(rna_model):
    frame = frame_of(*random_sequences([20, 30]))
    expected = rna_model.predict(frame)
    assert rna_model.predict(frame.assign(family="tRNA", n=1)).equals(expected)
    assert "sequence" in refused(rna_model, frame.rename(columns={"sequence": "seq"}))
    twice = pd.concat([frame, frame], axis=1)
    assert "sequence" in refused(rna_model, twice)


def test_no_rows_give_no_answers(rna_model):
    found = rna_model.predict(frame_of("ACGU").iloc[:0])
    assert len(found) == 0 and list(found.columns) == COLUMNS
    assert found["confidence"].dtype == float


def test_learned_positions_refuse_what_is_longer_than_they_know(tmp_path):
    folder = tiny_network.network_folder(tmp_path / "network", tiny_network.BILINEAR)
    model = packed(folder, tmp_path)
    sequences = random_sequences([1, 55, 56, 57, 61, 62])
    equal(model.predict(frame_of(*sequences)), in_process(folder, sequences))
    message = refused(model, frame_of("ACGU", "A" * 63))
    assert message == "column sequence, row 1: 63 bases (expected at most 62)"


def test_a_model_may_say_how_long_a_sequence_it_takes(tmp_path):
    folder = tiny_network.network_folder(tmp_path / "network", longest=40)
    model = packed(folder, tmp_path)
    assert len(model.predict(frame_of("A" * 40))) == 1
    assert "row 0: 41 bases (expected at most 40)" in refused(model, frame_of("A" * 41))


def test_crossings_that_no_brackets_can_write_are_named(rna_model, monkeypatch):
    """Pairs (i, i + 40) of 40 bases cross 40 deep, and there are 30 kinds of brackets."""
    crossing = np.array([[i, i + 40] for i in range(40)], np.int32)
    monkeypatch.setattr(Decoder, "decode", lambda *_: crossing)
    message = refused(rna_model, frame_of("A" * 80))
    assert message.startswith("column sequence, row 0: pairs cross more than 30 deep")


def test_weights_out_of_all_range_are_no_nan(tmp_path):
    folder = tiny_network.network_folder(tmp_path / "network")
    model = packed(folder, tmp_path)
    network = model.unwrap_python_model().saved.network
    network.pairs.out.bias.data.fill_(math.nan)
    assert "row 0: probabilities: expected finite numbers" in refused(model, frame_of("GGAAACC"))


# --- features -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_features(tmp_path_factory):
    pytest.importorskip("RNA", reason="the extra `rna` is not installed")
    folder = tmp_path_factory.mktemp("features")
    network = tiny_network.feature_folder(folder / "network")
    return network, packed(network, folder), folder / "model"


def test_features_are_computed(with_features):
    network, model, folder = with_features
    sequences = random_sequences([1, 5, 30, 45, 60])
    frame = frame_of(*sequences)
    found = model.predict(frame)
    equal(found, in_process(network, sequences))
    assert model.predict(frame.iloc[[3]]).equals(found.iloc[[3]])
    assert set(FEATURE_PINS) < set((folder / "requirements.txt").read_text().split())
    saved = load_saved_model(network)
    with pytest.raises(ValueError, match="was built for feature maps"):
        next(predict(saved.network, rows_of(sequences)))


def test_without_viennarna_it_does_not_load(with_features, monkeypatch):
    def absent():
        raise BadInput("need the extra `rna` (pip install ViennaRNA==2.7.2)")

    _, model, folder = with_features
    monkeypatch.setattr(viennarna, "viennarna", absent)
    with pytest.raises(Exception, match=r"pip install ViennaRNA==2\.7\.2"):
        mlflow.pyfunc.load_model(str(folder))
    assert "ViennaRNA" in refused(model, frame_of("ACGU"))


def test_without_features_nothing_folds(rna_model, monkeypatch):
    monkeypatch.setattr(viennarna, "viennarna", lambda: pytest.fail("not needed"))
    assert len(rna_model.predict(frame_of("ACGU"))) == 1
