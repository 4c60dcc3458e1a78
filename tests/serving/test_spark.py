"""The model as a Spark UDF, on a local Spark (extra `spark`; Java 17)."""

import os
import shutil
import sys

import pytest
from tests.serving.frames import table_frame

pytestmark = pytest.mark.slow


@pytest.fixture
def spark(tmp_path, monkeypatch):
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java 17, and there is no java")
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.warehouse.dir", str(tmp_path / "warehouse"))
        .getOrCreate()
    )
    yield session
    session.stop()


def test_udf_answers_as_the_model_does(spark, pyfunc, model, monkeypatch, tmp_path):
    import mlflow

    monkeypatch.chdir(tmp_path)
    frame = table_frame(20)
    table = spark.createDataFrame(frame)
    names = list(frame.columns)
    udf = mlflow.pyfunc.spark_udf(spark, str(pyfunc), env_manager="local")
    found = table.withColumn("answer", udf(*names)).select("answer.*").toPandas()
    expected = model.predict(frame)
    assert found["probability"].tolist() == pytest.approx(
        expected["probability"].tolist(), abs=1e-6
    )
    assert found["identifiable"].tolist() == expected["identifiable"].tolist()
