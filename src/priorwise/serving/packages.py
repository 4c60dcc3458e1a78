"""Which pipeline a network folder is of."""

from pathlib import Path

from priorwise.errors import BadInput
from priorwise.learn.network_folder import read_description
from priorwise.rna.schema import SCHEMA_NAME as RNA_SCHEMA
from priorwise.serving.package import Package
from priorwise.serving.rna_package import RNA
from priorwise.serving.spectra_package import SPECTRA
from priorwise.spectra.schema import SCHEMA_NAME as SPECTRA_SCHEMA

#: by the schema in a model's description; the oldest ones do not say it
PACKAGES = {"": SPECTRA, SPECTRA_SCHEMA: SPECTRA, RNA_SCHEMA: RNA}


def package_of(network_folder: Path) -> Package:
    """What makes a model of this network folder.

    Raises
    ------
    BadInput
        If it is no network folder, or of no pipeline that is known here.
    """
    schema = str(read_description(network_folder).get("schema", ""))
    if schema not in PACKAGES:
        known = ", ".join(filter(None, PACKAGES))
        raise BadInput(f"{network_folder}: schema {schema!r} (expected one of {known})")
    return PACKAGES[schema]
