"""A whole training the published way: python -m benchmarks.baseline_run TRAIN VALIDATION.

Lightning's trainer with its MLflow logger, one epoch, the loss of every step logged, recall on the
validation table; see `baseline`.
"""

import os
import sys
import tempfile

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from torchmetrics.classification import BinaryRecall

from benchmarks import baseline

BATCH = 256


class Module(pl.LightningModule):
    """The published network in Lightning."""

    def __init__(self) -> None:
        super().__init__()
        self.network = baseline.PublishedNetwork()
        self.recall = BinaryRecall()

    def training_step(self, batch: baseline.Batch, index: int) -> torch.Tensor:
        loss = baseline.nnpu_loss(self.network(*batch[:4]), batch, (0.45, 0.28))
        self.log("train_loss", loss, on_step=True, on_epoch=True, batch_size=len(batch[4]))
        return loss

    def validation_step(self, batch: baseline.Batch, index: int) -> None:
        logits = self.network(*batch[:4])
        self.recall.update(torch.sigmoid(logits), batch[4].int())
        loss = baseline.nnpu_loss(logits, batch, (0.45, 0.28))
        self.log("val_loss", loss, batch_size=len(batch[4]))
        self.log("val_recall", self.recall)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return baseline.optimizer_of(self.network)


def main() -> None:
    train, validation = sys.argv[1:3]
    pl.seed_everything(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=1,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            logger=MLFlowLogger(tracking_uri=os.environ["MLFLOW_TRACKING_URI"]),
            callbacks=[ModelCheckpoint(folder, monitor="val_recall", mode="max")],
        )
        trainer.fit(
            Module(),
            baseline.loader(train, BATCH),
            baseline.loader(validation, BATCH, shuffle=False),
        )


if __name__ == "__main__":
    main()
