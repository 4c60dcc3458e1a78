"""Models for others: MLflow pyfunc models that need neither Lightning, nor Lance, nor a server."""
