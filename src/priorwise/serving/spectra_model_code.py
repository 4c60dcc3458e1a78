"""What MLflow runs to load a spectra model: models-from-code, so that nothing is unpickled."""

from mlflow.models import set_model

from priorwise.serving.spectra_pyfunc import SpectraPyfunc

set_model(SpectraPyfunc())
