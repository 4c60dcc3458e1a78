"""The share of thermodynamics and the penalty of unusual pairs, chosen on known structures."""

from itertools import product

import numpy as np
import pytest
from tests.reference import opinions as both
from tests.reference import structures as reference

from priorwise.rna.agreement import supported
from priorwise.rna.alphabet import encode
from priorwise.rna.calibration import THRESHOLDS, Judged, choose_reading
from priorwise.rna.decoding import Decoder

HAIRPIN = np.array([(0, 11), (1, 10), (2, 9), (3, 8)], np.int32)
#: 0 to 3 pair with 11 to 8, canonically
SEQUENCE = "GGACAAAAGUCC"


def cells(*pairs, value=0.9):
    p = np.zeros((12, 12), np.float32)
    for i, j in pairs:
        p[i, j] = p[j, i] = value
    return p


#: the loop types say nothing
UNSURE = np.full(12, 0.5)


def judged(learned, folded, partition="VL0", sequence=SEQUENCE, stems=UNSURE):
    return Judged(partition, learned, folded, encode(sequence), HAIRPIN, stems)


def noisy(n, partition, seed):
    """Both opinions are noisy, the second one less so in CUT."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        letters = "".join(rng.choice(list("ACGU"), 12))
        opinions = []
        for strength in (0.5, 0.8 if partition == "CUT" else 0.4):
            p = np.triu(rng.random((12, 12)) ** 4, 1)
            p[HAIRPIN[:, 0], HAIRPIN[:, 1]] = np.minimum(rng.random(4) + strength, 1)
            opinions.append((p + p.T).astype(np.float32))
        yield judged(*opinions, partition, letters, rng.random(12))


def test_every_line_is_what_decoding_gives():
    examples = [*noisy(9, "VL0", 0), *noisy(4, "CUT", 1)]
    choices = (0.0, 0.25, 0.5), (0.0, 0.2), (0.0, 0.3), (0.0, 0.5)
    choice = choose_reading(Decoder("greedy"), iter(examples), *choices)
    assert len(choice.table) == 24
    lines = choice.table.itertuples()
    for combination, line in zip(product(*choices), lines, strict=True):
        weight, penalty, stems, discount = combination
        assert (line.folding_weight, line.stem_weight) == (weight, stems)
        assert (line.noncanonical_penalty, line.doubt_discount) == (penalty, discount)
        best = (-1.0,)
        for threshold in THRESHOLDS:
            f1 = {"VL0": [], "CUT": []}
            for e in examples:
                mixture = both.mixed(e.learned, e.folded, weight)
                own = threshold * (1 - discount * both.doubt(np.triu(mixture, 1)))
                decoder = Decoder("greedy", own, noncanonical_penalty=penalty)
                scores = supported(mixture, e.stems, stems)
                found = set(map(tuple, decoder.decode(scores, e.tokens).tolist()))
                f1[e.partition].append(reference.strict(found, set(map(tuple, e.pairs)))[2])
            means = [np.mean(f1["VL0"]), np.mean(f1["CUT"])]
            best = max(best, (np.mean(means), -threshold, *means))
        np.testing.assert_allclose(
            [line.f1, line.threshold, line.VL0, line.CUT],
            [best[0], -best[1], *best[2:]],
            atol=1e-12,
        )


def clearly_worse(examples, table, line):
    """By more than one standard error of the paired difference from the best line."""
    best = table.loc[table["f1"].idxmax()]
    differences = {"VL0": [], "CUT": []}
    for e in examples:
        f1 = []
        for reading in (best, line):
            mixture = both.mixed(e.learned, e.folded, reading["folding_weight"])
            own = reading["threshold"] * (
                1 - reading["doubt_discount"] * both.doubt(np.triu(mixture, 1))
            )
            decoder = Decoder("greedy", own, noncanonical_penalty=reading["noncanonical_penalty"])
            scores = supported(mixture, e.stems, reading["stem_weight"])
            found = set(map(tuple, decoder.decode(scores, e.tokens).tolist()))
            f1.append(reference.strict(found, set(map(tuple, e.pairs)))[2])
        differences[e.partition].append(f1[0] - f1[1])
    parts = list(differences.values())
    error = np.sqrt(sum(np.var(d, ddof=1) / len(d) for d in parts)) / len(parts)
    return np.mean([np.mean(d) for d in parts]) > error + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_share_that_is_not_clearly_worse(seed):
    examples = [*noisy(7, "VL0", [seed, 0]), *noisy(5, "CUT", [seed, 1])]
    choice = choose_reading(Decoder("greedy"), examples, penalties=(0.0, 0.2))
    table = choice.table
    fit = [not clearly_worse(examples, table, line) for _, line in table.iterrows()]
    near = table[fit]
    assert 0 < len(near) < len(table)
    assert choice.folding_weight == near["folding_weight"].max()
    near = near[near["folding_weight"] == choice.folding_weight]
    taken = near.loc[near["f1"].idxmax()]
    for name in ("noncanonical_penalty", "stem_weight", "doubt_discount"):
        assert getattr(choice, name) == taken[name], name


def test_partitions_count_alike_whatever_their_size():
    right, wrong = cells(*HAIRPIN), cells((0, 7), (1, 6))
    # what was learned is right in nine rows of VL0, thermodynamics in one of CUT; halves are ties
    # (the first opinion is in doubt, or the second would not be asked)
    examples = [judged(0.4 / 0.9 * right, wrong)] * 9
    examples += [judged(0.4 / 0.9 * wrong, right, "CUT")]
    table = choose_reading(Decoder(), examples, (0.0, 1.0), (0.0,), (0.0,), (0.0,)).table
    assert table["f1"].tolist() == [0.5, 0.5]
    assert table["VL0"].tolist() == [1, 0] and table["CUT"].tolist() == [0, 1]


def test_of_equally_good_readings_the_one_that_trusts_theory_and_changes_least_else():
    right = cells(*HAIRPIN)
    choice = choose_reading(Decoder(), [judged(right, right)])
    assert (choice.folding_weight, choice.noncanonical_penalty) == (1, 0)
    assert (choice.stem_weight, choice.doubt_discount) == (0, 0)


def test_what_helps_is_chosen():
    # thermodynamics knows the pairs that were not learned
    learned = np.maximum(cells(*HAIRPIN[:2], value=0.5), cells(*HAIRPIN[2:], value=0.25))
    folded = cells(*HAIRPIN)
    choice = choose_reading(Decoder(), [judged(learned, folded)] * 2, discounts=(0.0,))
    assert choice.folding_weight > 0
    assert choice.table["f1"].max() == 1
    # an A-C pair in place of three others
    unsure = np.maximum(cells(*HAIRPIN[:1]), cells(*HAIRPIN[1:], value=0.7))
    rival = np.maximum(unsure, cells((4, 10), value=0.95))
    only = choose_reading(Decoder(), [judged(rival, folded)], (0.0,))
    assert only.noncanonical_penalty > 0 and only.table["f1"].max() == 1


def test_loop_types_that_know_the_stem_are_listened_to():
    # a rival of the stem's inmost pair, with a base that is in no stem
    learned = np.maximum(cells(*HAIRPIN, value=0.6), cells((3, 7), value=0.65))
    stems = np.full(12, 0.95)
    stems[4:8] = 0.05
    example = judged(learned, learned, sequence="GGACAAAGGUCC", stems=stems)
    choice = choose_reading(Decoder(), [example], discounts=(0.0,))
    assert choice.stem_weight > 0 and choice.table["f1"].max() == 1
    deaf = choose_reading(Decoder(), [example], stem_weights=(0.0,), discounts=(0.0,))
    assert deaf.table["f1"].max() < 1


def test_a_lower_threshold_in_doubt_is_chosen_where_it_helps():
    # of a sequence that is known, .5 is too little for a pair; of one in doubt, .33 is enough
    known = np.maximum(cells(*HAIRPIN[:2], value=0.95), cells(*HAIRPIN[2:], value=0.5))
    doubtful = cells(*HAIRPIN, value=0.33)
    examples = [judged(known, known)._replace(pairs=HAIRPIN[:2])]
    examples += [judged(doubtful, doubtful, "CUT")]
    choice = choose_reading(Decoder(), examples)
    assert choice.doubt_discount > 0 and choice.table["f1"].max() == 1
    assert choose_reading(Decoder(), examples, discounts=(0.0,)).table["f1"].max() < 1


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(ValueError, match="examples"):
        choose_reading(Decoder(), [])
    with pytest.raises(ValueError, match="folding_weights"):
        choose_reading(Decoder(), [judged(cells(), cells())], ())
