"""Claims about training on several devices: processes that share every batch compute what one process computes.

The file is also the script that a user would run (``python -m tests.test_train_ddp FOLDER DEVICES``): Lightning starts it
again for every further device.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from resinflow.nn.blocks import Trunk
from resinflow.train.data import Place, StageData
from resinflow.train.fit import fit_stage
from resinflow.train.history import read_history
from resinflow.train.seeds import Stream, derive_seed, sample_generator
from resinflow.train.stage_options import StageOptions

Batch = tuple[Tensor, Tensor]


class Fields(Dataset[tuple[Tensor, int]]):
    """Small random fields, mirrored at random, with their number."""

    def __init__(self, length: int) -> None:
        self._fields = torch.randn(length, 2, 2, 4, 4, generator=torch.Generator().manual_seed(length))

    def __len__(self) -> int:
        return len(self._fields)

    def __getitem__(self, place: Place) -> tuple[Tensor, int]:
        epoch, index = place
        field, generator = self._fields[index], torch.Generator().manual_seed(derive_seed(Stream.AUGMENTATION, 3, epoch, index))
        return (field.flip(-1) if torch.rand((), generator=generator) < 0.5 else field), index


class Denoise(L.LightningModule):
    """Learns the noise of every sample, drawn from the sample's own generator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = Trunk(2, 8, 1, 2)
        self.register_buffer("scale", torch.ones(1))

    def training_step(self, batch: Batch, _: int) -> Tensor:
        return self._logged("train_loss", batch, self.current_epoch)

    def validation_step(self, batch: Batch, _: int) -> None:
        self._logged("validation_loss", batch, 0)

    def _logged(self, name: str, batch: Batch, epoch: int) -> Tensor:
        fields, numbers = batch
        noise = torch.stack([torch.randn(fields.shape[1:], generator=sample_generator(1, epoch, int(i))) for i in numbers])
        loss = (self.net(fields + self.scale * noise) - noise).square().mean()
        self.log(name, loss.detach(), on_step=False, on_epoch=True, batch_size=len(fields))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def train(folder: Path, devices: int) -> None:
    """Train on 20 samples in batches of four, two batches a step, and validate on 7."""
    options = StageOptions(epochs=3, batch_size=4, accumulate=2, precision="32-true", devices=devices, keep="best")
    fit_stage(folder, Denoise(), StageData(Fields(20), Fields(7), options, 3), options, seed=3)


def run_script(folder: Path, devices: int) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "PL_"))}
    command = [sys.executable, "-m", "tests.test_train_ddp", str(folder), str(devices)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=ours, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(torch.cuda.is_available(), reason="two processes on one CPU; here they would ask for two GPUs")
def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    """Same order, mirrors and noise, but sums in another order: float32 losses agree to about 1e-7, not to the bit.

    Of the 7 validation samples one process has 4 and the other 3: an unweighted mean over processes would be off by percents.
    """
    train(tmp_path / "one", 1)
    run_script(tmp_path / "two", 2)
    one, two = read_history(tmp_path / "one"), read_history(tmp_path / "two")
    assert len(one["train_loss"]) == 3
    for column in ("train_loss", "validation_loss"):
        assert two[column] == pytest.approx(one[column], rel=1e-5), column


if __name__ == "__main__":
    train(Path(sys.argv[1]), int(sys.argv[2]))
