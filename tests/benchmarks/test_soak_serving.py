"""The soak of a scoring server, cut short."""

from benchmarks import soak_serving


def test_bad_requests(tmp_path):
    found = soak_serving.soak(40, tmp_path)
    assert found["refused (4xx)"] >= 40
    assert found["requests"] == found["refused (4xx)"] + found["answered (200)"]
    assert (found["5xx"], found["NaN"]) == (0, 0)
    assert found["a sound one after them"] == "answered"
