"""Vocabulary ids of the published system (issue C3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.rna import alphabet
from priorwise.rna.alphabet import decode, encode, normalise


def test_ids_are_the_published_ones():
    assert (alphabet.PAD, alphabet.MASK, alphabet.CLS, alphabet.SEP) == (0, 1, 2, 3)
    assert encode("ACGUN").tolist() == [4, 5, 6, 7, 8]
    assert alphabet.VOCABULARY[8] == "N" and len(alphabet.VOCABULARY) == 9


def test_dna_and_lower_case_are_read():
    assert normalise("acgtnACGTUN") == "ACGUNACGUUN"
    assert normalise("") == ""


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("ACRGU", "letter 'R' at position 3"),
        ("acxgu", "letter 'x' at position 3"),
        ("AC GU", "letter ' ' at position 3"),
        ("ACGU-", "letter '-' at position 5"),
        ("AßC", "letter 'ß' at position 2"),
    ],
)
def test_other_letters_are_refused_with_their_position(sequence, message):
    with pytest.raises(ValueError, match=message):
        normalise(sequence)


@given(st.text("ACGUN"))
def test_decode_undoes_encode(sequence):
    assert decode(encode(sequence)) == sequence


@pytest.mark.parametrize("sequence", ["ACGT", "acgu", "AC?", "A\u0141"])
def test_only_normalised_sequences_are_encoded(sequence):
    with pytest.raises(ValueError):
        encode(sequence)


def test_special_tokens_are_no_nucleotides():
    with pytest.raises(ValueError, match="expected nucleotides"):
        decode([2, 4, 5, 3])
