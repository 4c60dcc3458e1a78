import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.errors import BadInput
from priorwise.spectra.preprocess import filter_query, preprocess_ms1


def by_hand(mz, intensity, min_rel, max_peaks):
    """The recipe with Python lists: no NumPy, no shared code."""
    peaks = [(m, i) for m, i in zip(mz, intensity, strict=True) if m > 0 and i > 0]
    base = max((i for _, i in peaks), default=0.0)
    peaks = [(m, i) for m, i in peaks if i >= min_rel * base]
    peaks = sorted(peaks, key=lambda p: (-p[1], p[0]))[:max_peaks]
    peaks = sorted(peaks, key=lambda p: p[0])
    return [np.float32(m) for m, _ in peaks], [np.float32(i**0.5) for _, i in peaks]


positive = st.floats(1e-3, 1e7, allow_nan=False)


@given(
    st.lists(st.tuples(st.floats(0, 2000), st.one_of(positive, st.just(0.0))), max_size=30),
    st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    st.integers(1, 12),
)
def test_recipe_against_plain_python(peaks, min_rel, max_peaks):
    mz, intensity = [p[0] for p in peaks], [p[1] for p in peaks]
    got_mz, got_intensity = preprocess_ms1(mz, intensity, min_rel, max_peaks)
    want_mz, want_intensity = by_hand(mz, intensity, min_rel, max_peaks)
    assert got_mz.dtype == got_intensity.dtype == np.float32
    np.testing.assert_array_equal(got_mz, want_mz)
    # equal m/z may swap their intensities, nothing else may
    np.testing.assert_allclose(np.sort(got_intensity), np.sort(want_intensity), rtol=1e-6)


def test_absolute_square_root_and_one_percent_kept():
    mz, intensity = preprocess_ms1([300, 100, 200], [1e4, 1e6, 9999.0])
    np.testing.assert_array_equal(mz, [100, 300])
    np.testing.assert_array_equal(intensity, [1000, 100])


def test_what_is_no_measurement_is_dropped_before_the_base_peak_is_looked_for():
    mz = [100, np.nan, 300, 400, 500, -1, 700]
    intensity = [1, 5, np.inf, -9, 0, 3, np.nan]
    got = preprocess_ms1(mz, intensity)
    np.testing.assert_array_equal(got[0], [100])
    np.testing.assert_array_equal(got[1], [1])


def test_empty_spectrum():
    assert [len(part) for part in preprocess_ms1([], [])] == [0, 0]
    assert [len(part) for part in filter_query([5000.0], [1.0])] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1, 2], [1]), "differ"),
        (([1], [1], -0.1), "min_rel_intensity"),
        (([1], [1], float("nan")), "min_rel_intensity"),
        (([1], [1], 0.01, 0), "max_peaks"),
    ],
)
def test_refused(arguments, text):
    with pytest.raises(BadInput, match=text):
        preprocess_ms1(*arguments)


def test_query_window_is_closed_and_relative_to_the_whole_scan():
    mz = [9.999, 10.0, 1000.0, 1000.001, 500.0]
    mz, intensity = filter_query(mz, [50, 60, 70, 1000, 9.9])
    np.testing.assert_array_equal(mz, [10, 1000])
    np.testing.assert_array_equal(intensity, [60, 70])
