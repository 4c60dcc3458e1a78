"""RNA models between phases: packaged and logged by one, found again by another."""

from pathlib import Path

from priorwise.phases.logged_model import log_network
from priorwise.rna.saved_model import read_description
from priorwise.serving.rna_package import RNA
from priorwise.tracking.runs import RunTrack


def log_rna_model(track: RunTrack, network_folder: Path) -> str:
    """Log a network folder as a pyfunc model of a run, and tag the run with it.

    Returns
    -------
    str
        Id of the logged model.
    """
    description = read_description(network_folder)
    tags = {"method": description["decoder"]["method"]}
    if description["features"]:
        tags["features"] = ", ".join(description["features"])
    return log_network(track, network_folder, RNA, tags)
