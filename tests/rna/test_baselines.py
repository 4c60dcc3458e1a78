import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from priorwise.errors import BadInput
from priorwise.rna.alphabet import normalise
from priorwise.rna.baselines import (
    FEWEST_FOR_WORKERS,
    each_pair_probabilities,
    pair_probabilities,
    rnafold,
)
from priorwise.rna.copying import copy_nearest
from priorwise.rna.scoring import StrictScores
from priorwise.rna.structure import pairs_of

SHARED = Path(os.environ.get("PRIORWISE_SHARED", Path(__file__).parents[3] / "shared"))
SETS = ("turner2004", "andronescu2007", "langdon2018")
HAIRPIN = "GGGGCAAAAGCCCC"
SEQUENCE = "GGGAAAUCCGCGUUUCGAUCGANCGGAUCGAUUAGCUAGCUAGGAUCCAUGCAUGCAUGCUAGC"
#: in a process of its own, so that no other set was ever loaded
FRESH = """
import json, RNA
RNA.params_load_RNA_{name}()
compound = RNA.fold_compound({sequence!r})
energy = compound.mfe()[1]
compound.pf()
print(json.dumps([energy, compound.bpp()]))
"""
LONG_NAMES = dict(zip(SETS, ("Turner2004", "Andronescu2007", "Langdon2018"), strict=True))


@pytest.fixture
def viennarna():
    return pytest.importorskip("RNA", reason="ViennaRNA (the extra `rna`) is not installed")


def bprna(*partitions):
    """Sequences and pairs of one or more partitions of at most 99 nt."""
    path = SHARED / "data" / "rna" / "bprna.csv"
    if not path.exists():
        pytest.skip(f"the shared structures are not at {path} (set PRIORWISE_SHARED)")
    with path.open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["partition"] in partitions]
    rows = [r for r in rows if len(r["sequence"]) <= 99]
    # one sequence of TS0 and five of TR0 have an ambiguity code: read as N
    sequences = [normalise(re.sub("[^ACGTU]", "N", r["sequence"])) for r in rows]
    return sequences, [pairs_of(r["structure"]) for r in rows]


def test_rnafold_on_ts0_scores_what_it_is_known_to_score(viennarna):
    sequences, pairs = bprna("TS0")
    assert len(sequences) == 473
    scores = StrictScores.of(rnafold(sequences, workers=1), pairs)
    assert scores.mean()["f1"] == pytest.approx(0.5292, abs=0.0005)


def test_copying_scores_what_it_is_known_to_score():
    sequences, pairs = bprna("TS0")
    training = bprna("TR0")
    scores = StrictScores.of(copy_nearest(sequences, *training), pairs)
    assert scores.mean()["f1"] == pytest.approx(0.431, abs=0.0005)


def test_a_hairpin_folds(viennarna):
    found = rnafold([HAIRPIN, "", "AAAAAA"])
    assert found[0].tolist() == [[0, 13], [1, 12], [2, 11], [3, 10], [4, 9]]
    assert all(f.shape == (0, 2) and f.dtype == np.int32 for f in found[1:])


@pytest.mark.parametrize("parameters", SETS)
def test_probabilities_are_those_of_a_fresh_process(viennarna, parameters):
    script = FRESH.format(name=LONG_NAMES[parameters], sequence=SEQUENCE)
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    upper = np.array(json.loads(said)[1])[1:, 1:]
    for used_before in SETS:  # must not matter
        pair_probabilities(SEQUENCE, used_before)
        viennarna.fold_compound(SEQUENCE).pf()
        found = pair_probabilities(SEQUENCE, parameters)
        np.testing.assert_allclose(found, upper + upper.T, atol=1e-6)
    assert found.dtype == np.float32
    assert (found == found.T).all() and (np.diag(found) == 0).all()
    assert (found.sum(axis=1) <= 1 + 1e-5).all()
    assert (found[SEQUENCE.index("N")] == 0).all()


def ensemble_energy(viennarna):
    return viennarna.fold_compound(SEQUENCE).pf()[1]


def test_the_defaults_are_loaded_again(viennarna):
    before = ensemble_energy(viennarna)
    pair_probabilities(SEQUENCE, "andronescu2007")
    assert ensemble_energy(viennarna) == before
    next(each_pair_probabilities([SEQUENCE] * 40, ["langdon2018"], workers=1))  # left unfinished
    assert ensemble_energy(viennarna) == before


def test_rnafold_does_not_depend_on_what_is_loaded(viennarna):
    before = rnafold([SEQUENCE])[0]
    viennarna.params_load_RNA_Langdon2018()
    try:
        assert viennarna.fold_compound(SEQUENCE, viennarna.md()).mfe()[1] > -18.5
        assert rnafold([SEQUENCE])[0].tolist() == before.tolist()
    finally:
        viennarna.params_load_RNA_Turner2004()


#: in another order than their own
SETS = ("langdon2018", "turner2004")


def test_other_processes_give_the_same_in_order(viennarna):
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGU"), rng.integers(0, 40))) for _ in range(50)]
    alone = list(each_pair_probabilities(sequences, SETS, workers=1))
    spread = list(each_pair_probabilities(sequences, SETS, workers=2))
    assert [[len(p) for p in maps] for maps in spread] == [[len(s)] * 2 for s in sequences]
    for one, other, sequence in zip(alone, spread, sequences, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
        for found, parameters in zip(one, SETS, strict=True):
            assert (found == pair_probabilities(sequence, parameters)).all()
    assert len(sequences) < FEWEST_FOR_WORKERS


@pytest.mark.parametrize("length", [150, 152, 300])
def test_the_most_stable_sequences_do_not_overflow(viennarna, length):
    found = pair_probabilities("G" * (length // 2 - 2) + "AAAA" + "C" * (length // 2 - 2))
    assert np.isfinite(found).all() and found.sum() > length - 10


def test_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="parameters: 'turner1999'"):
        pair_probabilities(HAIRPIN, "turner1999")
    with pytest.raises(ValueError, match="parameters: 'turner1999'"):
        each_pair_probabilities([HAIRPIN], ["turner1999"])


def test_without_viennarna_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "RNA", None)
    for ask in (
        lambda: rnafold([HAIRPIN]),
        lambda: pair_probabilities(HAIRPIN),
        lambda: list(each_pair_probabilities([HAIRPIN])),
    ):
        with pytest.raises(BadInput, match=r"pip install ViennaRNA==2\.7\.2"):
            ask()


def test_the_nearest_of_the_same_length_is_copied():
    training = ["GGGG", "GGGA", "AAAAA", "GGAA"]
    pairs = [np.array([[k, k + 1]]) for k in range(4)]
    found = copy_nearest(["GGGA", "GCAA", "CCCC", "UU", "AAAAA"], training, pairs)
    assert [f.tolist() for f in found] == [[[1, 2]], [[3, 4]], [[0, 1]], [], [[2, 3]]]
    with pytest.raises(ValueError, match="pairs: expected 4"):
        copy_nearest([], training, pairs[1:])
