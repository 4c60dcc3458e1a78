"""Brackets and pairs, and the loop type of each base (issue C4)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.loops import largest_nested
from tests.reference.loops import loop_types as reference_types

from priorwise.rna.alphabet import encode
from priorwise.rna.nesting import nested_pairs
from priorwise.rna.structure import (
    BRACKETS,
    CANONICAL,
    LOOP_NAMES,
    dot_bracket,
    is_canonical,
    loop_types,
    pairs_of,
    sorted_pairs,
)

# N none, S stem, L loop, B bulge, H hairpin
HAND_MADE = {
    "no pair": (
        "......",
        "NNNNNN",
    ),
    "hairpin with exterior": (
        "..(((....)))...",
        "NNSSSHHHHSSSNNN",
    ),
    "bulge on the left": (
        "((..((...))))",
        "SSBBSSHHHSSSS",
    ),
    "bulge on the right": (
        "((((...)).))",
        "SSSSHHHSSBSS",
    ),
    "interior loop": (
        "((.((....))..))",
        "SSLSSHHHHSSLLSS",
    ),
    "multiloop": (
        "((.((...))..((...)).))",
        "SSLSSHHHSSLLSSHHHSSLSS",
    ),
    "multiloop without a free base but one": (
        "((((...)).((...))))",
        "SSSSHHHSSLSSHHHSSSS",
    ),
    "two hairpins, exterior between": (
        "((...))..((....)).",
        "SSHHHSSNNSSHHHHSSN",
    ),
    "bulge and interior loop in one arm": (
        ".((.((..((...)).)).)).",
        "NSSLSSLLSSHHHSSLSSLSSN",
    ),
    "pseudoknot: the longer stem makes the loops": (
        "(((..[[..)))..]]",
        "SSSHHSSHHSSSNNSS",
    ),
    "pseudoknot: the longer stem opens second": (
        "((..[[[..))..]]]",
        "SSNNSSSHHSSHHSSS",
    ),
    "pseudoknot of equal stems: the one that opens first": (
        ".((..[[.)).]].",
        "NSSHHSSHSSNSSN",
    ),
    "kissing hairpins": (
        "((..[[..))..((..]]..)).",
        "SSHHSSHHSSNNSSHHSSHHSSN",
    ),
    "cloverleaf": (
        "((.((..)).((...)).((....))))..",
        "SSLSSHHSSLSSHHHSSLSSHHHHSSSSNN",
    ),
}


def letters(types):
    return "".join(LOOP_NAMES[t][0] for t in types)


@pytest.mark.parametrize("name", HAND_MADE)
def test_loop_types_of_hand_made_structures(name):
    structure, expected = HAND_MADE[name]
    assert letters(loop_types(len(structure), pairs_of(structure))) == expected


def test_a_base_with_two_partners_is_a_stem_and_the_loops_are_those_of_the_nested_pairs():
    pairs = [(0, 11), (1, 10), (1, 6), (2, 9)]  # base 1 twice: the three that nest win
    assert letters(loop_types(13, pairs)) == "SSSHHHSHHSSSN"


@st.composite
def some_pairs(draw, most=9, shared=False):
    length = draw(st.integers(2, 24))
    places = st.tuples(st.integers(0, length - 1), st.integers(0, length - 1))
    drawn = draw(st.lists(places.map(sorted), max_size=most))
    pairs, used = set(), set()
    for i, j in drawn:
        if i < j and (shared or not {i, j} & used):
            pairs.add((i, j))
            used |= {i, j}
    return length, sorted(pairs)


@given(some_pairs())
def test_brackets_and_back(example):
    length, pairs = example
    text = dot_bracket(length, pairs)
    assert len(text) == length
    assert pairs_of(text).tolist() == [list(p) for p in pairs]
    assert dot_bracket(length, pairs_of(text)) == text


@given(some_pairs(shared=True))
@settings(deadline=None)
def test_loop_types_are_those_of_the_definitions(example):
    length, pairs = example
    nested = nested_pairs(sorted_pairs(pairs))
    assert [p for p, kept in zip(pairs, nested, strict=True) if kept] == largest_nested(pairs)
    found = [LOOP_NAMES[t] for t in loop_types(length, pairs)]
    assert found == reference_types(length, pairs)


def test_the_largest_nested_set_gets_the_round_brackets():
    text = "((..[[[..))..]]]"
    assert dot_bracket(len(text), pairs_of(text)) == "[[..(((..]]..)))"


def test_every_kind_of_bracket_is_read_and_written():
    opening = "".join(pair[0] for pair in BRACKETS)
    closing = "".join(pair[1] for pair in BRACKETS)
    pairs = pairs_of(opening + closing)  # all cross each other
    assert pairs.tolist() == [[k, k + 30] for k in range(30)]
    assert dot_bracket(60, pairs) == opening + closing
    with pytest.raises(ValueError, match="30 deep"):
        dot_bracket(62, [(k, k + 31) for k in range(31)])


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ("((.)", r"'\(' at position 1 is never closed"),
        ("..)", r"'\)' at position 3 closes nothing \(expected a '\('"),
        ("(.]", "']' at position 3 closes nothing"),
        ("(..)a", "'a' at position 5 closes nothing"),
        ("(.-)", "'-' at position 3"),
        (".(.[.)", r"'\[' at position 4 is never closed"),
    ],
)
def test_unsound_brackets_are_refused_with_their_position(structure, message):
    with pytest.raises(ValueError, match=message):
        pairs_of(structure)


@pytest.mark.parametrize("pair", [(0, 5), (-1, 3), (3, 3), (4, 1)])
def test_pairs_out_of_range_are_refused(pair):
    for function in (dot_bracket, loop_types):
        with pytest.raises(ValueError, match=f"pair {pair[0] + 1}-{pair[1] + 1} in a sequence of"):
            function(5, [pair])


def test_a_base_with_two_partners_has_no_brackets():
    with pytest.raises(ValueError, match="position 2 has several partners"):
        dot_bracket(9, [(0, 8), (1, 7), (1, 5)])


def test_canonical_pairs():
    letters_ = "ACGUN"
    tokens = encode(letters_)
    found = is_canonical(tokens[:, None], tokens[None, :])
    wanted = [[x + y in CANONICAL for y in letters_] for x in letters_]
    assert found.tolist() == wanted
    assert found.sum() == 6
    assert not is_canonical([0, 1, 2, 3], 7).any()


def test_no_pairs_at_all():
    assert pairs_of("").shape == (0, 2)
    assert loop_types(0, np.zeros((0, 2), np.int32)).shape == (0,)
    assert dot_bracket(3, []) == "..."
