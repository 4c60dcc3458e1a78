"""Scoring without a run: what the phase `score` does with files."""

import csv
from pathlib import Path

from priorwise.spectra.score.partial import clear, put_in_place, workshop
from priorwise.spectra.score.run import Scoring, score_sources
from priorwise.spectra.score.sources import find_sources
from priorwise.spectra.score.summary import summarise


def score(inputs, out, model, threshold=0.5, dataset_id="", key="k", said=None, keep=False):
    """Score `inputs` into `out`; gives the summary."""
    sources = find_sources(str(inputs)).found
    scoring = Scoring(model, threshold, dataset_id, 1, {"model": key})
    said = [] if said is None else said
    with workshop(Path(out)) as folder:
        parts, notes = score_sources(
            sources, scoring, Path(out), folder, said.append, lambda n: None
        )
        summary = summarise(sources, parts, notes)
        put_in_place(Path(out), parts, folder)
        if not keep:
            clear(Path(out))
    return summary


def lines(path):
    """Rows of a CSV."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
