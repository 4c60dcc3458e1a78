"""What a scoring may promise: by polarity, and not of files unlike the test set."""

from collections import Counter

import pytest

from priorwise.phases.score_expectation import Expectation, _shares
from priorwise.spectra.score.summary import Counts

SEEN = Expectation({"positive": 0.97, "negative": 0.89}, {"positive": 0.54, "negative": 0.34})


def counts(positive=0, negative=0, kept=0):
    scored = Counter({m: n for m, n in (("positive", positive), ("negative", negative)) if n})
    return Counts(positive + negative, positive + negative, kept, scored)


def test_recall_is_that_of_the_scans_own_polarity():
    assert counts(100, 0).expected_recall(SEEN.recall) == pytest.approx(0.97)
    assert counts(0, 100).expected_recall(SEEN.recall) == pytest.approx(0.89)
    assert counts(100, 300).expected_recall(SEEN.recall) == pytest.approx(0.91)
    assert "expected to keep 89.0 %" in counts(0, 100, 40).in_words("a", SEEN.recall)


def test_nothing_is_promised_where_nothing_was_seen():
    assert counts(100, 5).expected_recall({"positive": 0.97}) is None
    assert counts().expected_recall(SEEN.recall) is None
    assert "expected" not in counts(100, 0, 40).in_words("a", {})
    assert Expectation().caution == "" and Expectation().doubt(counts(100, 0, 0)) == ""


@pytest.mark.parametrize("kept", [0, 20, 90])
def test_a_file_unlike_the_test_set_is_doubted(kept):
    assert "unlike" in SEEN.doubt(counts(100, 0, kept))


def test_a_file_like_the_test_set_or_too_small_is_not():
    assert SEEN.doubt(counts(100, 0, 54)) == "" and SEEN.doubt(counts(20, 0, 0)) == ""


def test_a_model_of_one_polarity_has_its_numbers_as_a_whole():
    found = _shares({"recall": 0.9, "share_kept": 0.4}, ("negative",))
    assert found == Expectation({"negative": 0.9}, {"negative": 0.4})
    both = _shares({"recall": 0.9, "recall.positive": 0.95}, ("positive", "negative"))
    assert both.recall == {"positive": 0.95} and both.share_kept == {}
