"""What MLflow runs to load an RNA model: models-from-code, so that nothing is unpickled."""

from mlflow.models import set_model

from priorwise.serving.rna_pyfunc import RnaPyfunc

set_model(RnaPyfunc())
