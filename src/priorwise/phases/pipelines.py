"""All pipelines whose models can be promoted, and which one a registered model belongs to."""

from typing import Any

from priorwise.phases.pipeline import Pipeline
from priorwise.phases.rna_promotion import RNA
from priorwise.phases.spectra_promotion import SPECTRA
from priorwise.tracking.registry import Registry

#: by the schema in a model's description
PIPELINES: dict[str, Pipeline[Any]] = {p.schema: p for p in (SPECTRA, RNA)}
#: by the phase of the runs that evaluate its models
EVALUATED_BY = {pipeline.evaluate: pipeline for pipeline in PIPELINES.values()}


def pipeline_of(registry: Registry) -> Pipeline[Any] | None:
    """The pipeline whose models are registered under a name; None if nothing says it.

    The champion says it, or without one the newest version that does; or else the name, if it is
    the usual one of a pipeline.
    """
    versions = registry.versions()
    champion = registry.champion()
    first = sorted(versions, key=lambda version: version.version != champion)
    for version in first:
        if version.tags.get("schema") in PIPELINES:
            return PIPELINES[version.tags["schema"]]
    named = [p for p in PIPELINES.values() if p.registered == registry.name]
    return named[0] if named else None
