"""What makes an MLflow model of an RNA network."""

from pathlib import Path

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import DataType
from mlflow.types.schema import Array, ColSpec, ParamSchema, ParamSpec, Schema

from priorwise.rna.saved_model import load_saved_model, read_description
from priorwise.serving.package import COMMON_FILES, COMMON_PINS, Description, Package
from priorwise.serving.rna_frames import SEQUENCE, sequences_of
from priorwise.serving.rna_pyfunc import answers, longest

SHIPPED = (
    *COMMON_FILES,
    "rna/__init__.py",
    "rna/agreement.py",
    "rna/alphabet.py",
    "rna/baselines.py",
    "rna/batches.py",
    "rna/decoding.py",
    "rna/doubt.py",
    "rna/encoder.py",
    "rna/ensemble.py",
    "rna/features.py",
    "rna/folding.py",
    "rna/heads.py",
    "rna/loop_head.py",
    "rna/masking.py",
    "rna/matching.py",
    "rna/nested.py",
    "rna/nesting.py",
    "rna/network.py",
    "rna/opinions.py",
    "rna/pair_map.py",
    "rna/predict.py",
    "rna/records.py",
    "rna/rows.py",
    "rna/saved_model.py",
    "rna/structure.py",
    "rna/viennarna.py",
    "serving/rna_frames.py",
    "serving/rna_pyfunc.py",
)
PINS = (*COMMON_PINS, "scipy==1.16.3")
#: only of models that take pair probabilities beside the sequence
FEATURE_PINS = ("ViennaRNA==2.7.2", "tqdm==4.70.1")
#: made up: a hairpin, and two of them
EXAMPLES = ("GGGAGCUUCGGCUCCC", "GGCACGAAAGUGCCAAGCGCUUCGGCGC")


def pins(description: Description) -> tuple[str, ...]:
    """Public versions of what a model needs."""
    return (*PINS, *(FEATURE_PINS if description["features"] else ()))


def signature() -> ModelSignature:
    """What the model takes and gives."""
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, SEQUENCE)]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "dot_bracket"),
                ColSpec(Array(Array(DataType.long)), "pairs"),
                ColSpec(DataType.double, "confidence"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("threshold", DataType.double, None),
                ParamSpec("method", DataType.string, None),
            ]
        ),
    )


def example(description: Description) -> pd.DataFrame:
    """Two made-up sequences, no longer than the model takes."""
    most = int(description["longest"]) or None
    return pd.DataFrame({SEQUENCE: [text[:most] for text in EXAMPLES]})


def answer(network_folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """What the bare weights say to sequences."""
    saved = load_saved_model(network_folder)
    return answers(saved, sequences_of(rows, longest(saved)), saved.decoder, rows.index)


RNA = Package(
    code="rna_model_code.py",
    shipped=SHIPPED,
    read_description=read_description,
    pins=pins,
    signature=signature,
    example=example,
    answer=answer,
)
