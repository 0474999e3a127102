"""Claims about the trainer: killed runs go on to the same weights, steps are means, the best epoch is kept, logs are whole."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from resinflow.data import Division, FlowSource, Fold, canonical_fingerprint, fold_division
from resinflow.data.open import open_flows
from resinflow.data.store import FlowStore
from resinflow.flow.errors import InvalidInputError
from resinflow.models.features import CHANNELS
from resinflow.nn.blocks import ResidualBlock
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.recipe import STAGES, LatentArchitecture, LatentRecipe
from resinflow.presets.training import train
from resinflow.train.data import Place, Share, SharedSampler, StageData
from resinflow.train.fit import checkpoint_activations, compile_networks, explained_compiler_errors, fit_stage
from resinflow.train.history import best_validation_loss, read_history, write_log
from resinflow.train.seeds import Stream, derive_seed, sample_generator
from resinflow.train.stage_options import StageOptions
from tests.conftest import TINY_TRAINING

ROOT = Path(__file__).parents[1]


class Line(Dataset[tuple[Tensor, Tensor]]):
    """Points of a line; the inputs are jittered by epoch and index, as augmentation is."""

    def __init__(self, length: int, jitter: float = 0.01) -> None:
        self._length = length
        self._jitter = jitter

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: Place) -> tuple[Tensor, Tensor]:
        epoch, index = place
        generator = torch.Generator().manual_seed(derive_seed(Stream.AUGMENTATION, 5, epoch, index))
        x = torch.tensor([index / self._length]) + self._jitter * torch.rand(1, generator=generator)
        return x, 3 * torch.tensor([index / self._length]) - 1


class Fit(L.LightningModule):
    """A linear fit with noise drawn in the step; ``validation_losses`` replace the validation loss of every epoch."""

    def __init__(self, rate: float = 0.1, noise: float = 0.1) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)
        nn.init.constant_(self.net.weight, 0.5)
        nn.init.zeros_(self.net.bias)
        self.rate = rate
        self.noise = noise
        self.validation_losses: list[float] | None = None

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        loss = self._loss(batch, self.noise)
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        loss = self._loss(batch, self.noise)
        if self.validation_losses is not None:
            loss = torch.tensor(self.validation_losses[self.current_epoch])
        self.log("validation_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))

    def _loss(self, batch: tuple[Tensor, Tensor], noise: float) -> Tensor:
        x, y = batch
        return (self.net(x) + noise * torch.randn_like(y) - y).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def options(**changes: Any) -> StageOptions:
    return StageOptions.model_validate({"epochs": 3, "batch_size": 2, "precision": "32-true", **changes})


def fitted(
    folder: Path, module: Fit | None = None, samples: int = 8, *, callbacks: tuple[Callback, ...] = (), **changes: Any
) -> Fit:
    module = module or Fit()
    chosen = options(**changes)
    data = StageData(Line(samples), Line(6, 0.0), chosen, 5)
    fit_stage(folder, module, data, chosen, callbacks=callbacks, seed=5)
    return module


def state(module: nn.Module) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in module.state_dict().items()}


class Kill(Callback):
    """Ends training at a batch of an epoch, as a crash does: nothing is written any more."""

    def __init__(self, epoch: int, batch: int) -> None:
        self._at = (epoch, batch)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self._at:
            raise RuntimeError("crash")


# resume


@pytest.mark.parametrize(("epoch", "batch"), [(0, 1), (1, 2), (2, 0)])
def test_a_crashed_stage_goes_on_to_the_same_curve_and_weights(tmp_path: Path, epoch: int, batch: int) -> None:
    whole = fitted(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="crash"):
        fitted(tmp_path / "broken", callbacks=(Kill(epoch, batch),))
    resumed = fitted(tmp_path / "broken")
    assert state(resumed) == state(whole)
    assert read_history(tmp_path / "broken") == read_history(tmp_path / "whole")


TRAIN = """
    import sys, time
    from lightning.pytorch.callbacks import Callback
    from resinflow.presets import LatentRecipe
    from resinflow.presets.training import train

    class Slow(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, place):
            if trainer.current_epoch == 1:
                time.sleep(60)

    train("vae3d", sys.argv[1], sys.argv[2], LatentRecipe.model_validate_json(sys.argv[3]), callbacks=[Slow()])
"""


def test_a_process_killed_in_mid_epoch_goes_on_to_the_same_weights_and_log(
    tiny_store: FlowStore, tiny_run: Path, tmp_path: Path
) -> None:
    run, config = tmp_path / "run", LatentRecipe.model_validate(TINY_TRAINING)
    arguments = [str(tiny_store.path), str(run), config.model_dump_json()]
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(TRAIN), *arguments], cwd=ROOT)
    try:
        deadline = time.monotonic() + 120
        while not (run / "vae3d" / "last.ckpt").is_file() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)  # the second epoch has begun
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not (run / "vae3d" / "networks.safetensors").exists()
    train("vae3d", tiny_store.path, run, config)
    killed, whole = (load_file(each / "vae3d" / "networks.safetensors") for each in (run, tiny_run))
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    logs = [json.loads((each / "log.json").read_text()) for each in (run, tiny_run)]
    assert logs[0]["history"]["vae3d"] == logs[1]["history"]["vae3d"]


def test_sigterm_ends_the_stage_like_an_interruption(tmp_path: Path) -> None:
    class Terminate(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if trainer.current_epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "ended", callbacks=(Terminate(),))
    assert state(fitted(tmp_path / "ended")) == state(fitted(tmp_path / "whole"))


def test_a_run_directory_that_was_moved_keeps_its_best_epoch(tmp_path: Path) -> None:
    def fit(losses: list[float], epochs: int) -> Fit:
        module = Fit()
        module.validation_losses = losses
        return fitted(tmp_path / "here", module, epochs=epochs, keep="best")

    best = state(fit([0.1], 1))
    (tmp_path / "here").rename(tmp_path / "there")
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    module = Fit()
    module.validation_losses = [0.1, 0.9, 0.8]
    assert state(fitted(tmp_path / "elsewhere", module, epochs=3, keep="best")) == best


def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    fitted(tmp_path, epochs=1)
    (tmp_path / "last.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes()[:500])
    with pytest.raises(InvalidInputError, match="no whole checkpoint"):
        fitted(tmp_path, epochs=2)


# steps


def mean_gradients(places: list[list[int]], samples: int) -> list[float]:
    """Gradients at the start of the weight for groups of samples, computed in one batch each, without jitter and noise."""
    found = []
    for group in places:
        module = Fit(noise=0.0)
        x = torch.tensor([[index / samples] for index in group])
        (module.net(x) - (3 * x - 1)).square().mean().backward()
        found.append(float(module.net.weight.grad))
    return found


def test_a_step_is_the_mean_over_its_batches_also_where_the_last_group_is_smaller(tmp_path: Path) -> None:
    class Watch(Callback):
        def __init__(self) -> None:
            self.seen: list[list[int]] = [[]]
            self.gradients: list[float] = []

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            self.seen[-1] += [round(float(y + 1) / 3 * 10) for y in batch[1]]

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            self.gradients.append(float(pl_module.net.weight.grad))
            self.seen.append([])

    watch = Watch()
    grouped = options(epochs=1, accumulate=3, gradient_clip=None)
    data = StageData(Line(10, 0.0), Line(4, 0.0), grouped, 1)
    fit_stage(tmp_path, Fit(rate=0.0, noise=0.0), data, grouped, callbacks=(watch,), seed=1)
    assert [len(group) for group in watch.seen[:-1]] == [6, 4]  # five batches of two: a group of three, a group of two
    assert watch.gradients == pytest.approx(mean_gradients(watch.seen[:-1], 10), rel=1e-5)


def test_accumulated_batches_are_clipped_once(tmp_path: Path) -> None:
    moved = []
    for name, clip in (("free", None), ("clipped", 0.05)):
        module = fitted(tmp_path / name, Fit(rate=1.0, noise=0.0), samples=8, epochs=1, accumulate=4, gradient_clip=clip)
        moved.append(torch.tensor([module.net.weight.item() - 0.5, module.net.bias.item()]).norm())
    assert moved[0] > 0.1  # one step in the epoch, longer than the limit
    assert moved[1] == pytest.approx(0.05, rel=1e-3)


def test_checkpointed_activations_give_the_same_gradients() -> None:
    torch.manual_seed(0)
    networks = LatentDiffusion(LatentArchitecture(latent_channels=2, width=8, blocks=(1, 1, 1, 1), denoiser_blocks=1))
    for parameter in networks.parameters():
        nn.init.normal_(parameter, std=0.1)
    conditions = torch.randn(1, len(CHANNELS), 3, 8, 8)
    names = list(networks.state_dict())
    gradients = []
    for _ in range(2):
        networks.zero_grad()
        networks.vae.encode_2d(conditions).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in networks.vae.encoder_2d.parameters()])
        checkpoint_activations(networks, ResidualBlock)
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
    assert list(networks.state_dict()) == names


# which epoch


def test_the_best_epoch_is_kept_and_patience_ends_the_stage(tmp_path: Path) -> None:
    losses = [0.5, 0.2, 0.4, 0.3, 0.1]
    module = Fit()
    module.validation_losses = losses
    kept = fitted(tmp_path / "best", module, epochs=5, patience=2, keep="best")
    assert read_history(tmp_path / "best")["validation_loss"] == pytest.approx(losses[:4])
    second = Fit()
    second.validation_losses = losses
    assert state(kept) == state(fitted(tmp_path / "two", second, epochs=2))
    again = Fit()
    again.validation_losses = losses
    fitted(tmp_path / "best", again, epochs=5, patience=2, keep="best")
    assert len(read_history(tmp_path / "best")["validation_loss"]) == 4, "a stage that had stopped trained on"


def test_a_validation_step_draws_alike_in_every_epoch(tmp_path: Path) -> None:
    fitted(tmp_path, Fit(rate=0.0))
    history = read_history(tmp_path)
    assert len(set(history["validation_loss"])) == 1
    assert len(set(history["train_loss"])) == 3


# order and noise


def epochs_of(share: Share, seed: int = 3, length: int = 10) -> list[list[int]]:
    sampler = SharedSampler(length, share, seed, shuffle=True)
    found = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        found.append([index for _, index in sampler])
    return found


def test_every_epoch_has_its_own_order_of_all_samples() -> None:
    first, second = epochs_of(Share())
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert epochs_of(Share()) == [first, second]
    assert epochs_of(Share(), seed=4)[0] != first


def test_the_batches_of_several_processes_are_together_those_of_one() -> None:
    (alone, _), (left, _), (right, _) = (epochs_of(share) for share in (Share(), Share(0, 2), Share(1, 2)))
    for place in range(0, 8, 4):
        together = left[place // 2 : place // 2 + 2] + right[place // 2 : place // 2 + 2]
        assert sorted(together) == sorted(alone[place : place + 4])


def test_processes_keep_step_in_training_and_share_all_samples_in_validation() -> None:
    assert {len(epochs_of(Share(rank, 3))[0]) for rank in range(3)} == {3}
    shares = [[index for _, index in SharedSampler(10, Share(rank, 3), 0, shuffle=False)] for rank in range(3)]
    assert sorted(itertools.chain(*shares)) == list(range(10))


def test_augmentation_depends_on_the_epoch_and_not_on_the_workers() -> None:
    def inputs(workers: int, epoch: int) -> list[float]:
        loader = StageData(Line(8), Line(2), options(), 3, workers=workers).train_dataloader()
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        return [float(x) for batch, _ in loader for x in batch]

    assert inputs(0, 1) == inputs(2, 1)
    assert sorted(inputs(0, 1)) != sorted(inputs(0, 0))


def test_fewer_samples_than_devices_are_refused() -> None:
    data = StageData(Line(8), Line(3), options(batch_size=4, devices=4), 0)
    data.trainer = SimpleNamespace(global_rank=0, world_size=4)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(InvalidInputError, match="4 devices share 3 samples"):
        data.val_dataloader()


def test_the_noise_of_a_sample_belongs_to_seed_epoch_and_index() -> None:
    def noise(*key: int) -> Tensor:
        return torch.randn(4, generator=sample_generator(*key))

    assert torch.equal(noise(1, 2, 3), noise(1, 2, 3))
    others = [noise(0, 2, 3), noise(1, 0, 3), noise(1, 2, 0), noise(1, 3, 2)]
    assert all(not torch.equal(noise(1, 2, 3), other) for other in others)


# logs


def test_the_log_holds_recipe_data_versions_and_every_term_of_every_epoch(tiny_run: Path) -> None:
    log = json.loads((tiny_run / "log.json").read_text())
    assert log["recipe"] == LatentRecipe.model_validate(TINY_TRAINING).model_dump(mode="json")
    assert len(log["data"]["fingerprint"]) == 64
    assert set(log["versions"]) == {"resinflow", "torch", "lightning", "numpy"}
    assert list(log["history"]) == list(STAGES)
    for stage in STAGES:
        columns = log["history"][stage]
        assert {"lr", "train_loss", "train_velocity_error", "validation_loss", "validation_velocity_error"} <= set(columns)
        assert {len(values) for values in columns.values()} == {2}
        assert best_validation_loss(tiny_run, stage) == min(columns["validation_loss"])


def test_the_log_is_written_after_every_epoch(tmp_path: Path) -> None:
    seen: list[int] = []

    class Look(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            history = json.loads((tmp_path / "log.json").read_text())["history"]
            seen.append(len(history.get("vae3d", {}).get("train_loss", [])))

    write_log(tmp_path, {"name": "line"}, {"fingerprint": "0"})
    fitted(tmp_path / "vae3d", callbacks=(Look(),))
    assert seen == [0, 1, 2]


def test_a_loss_that_is_not_finite_is_null_and_never_the_best(tmp_path: Path) -> None:
    module = Fit()
    module.validation_losses = [0.25, float("nan"), 0.125]
    write_log(tmp_path, {}, {})
    with pytest.raises(InvalidInputError, match="the validation loss of epoch 2 is nan.*the checkpoint of epoch 1 stays"):
        fitted(tmp_path / "vae2d", module)
    log = json.loads((tmp_path / "log.json").read_text(), parse_constant=pytest.fail)
    assert log["history"]["vae2d"]["validation_loss"] == [0.25, None]
    assert best_validation_loss(tmp_path, "vae2d") == 0.25
    with pytest.raises(InvalidInputError, match="no finite validation loss of stage diffusion"):
        best_validation_loss(tmp_path, "diffusion")


def test_histories_with_two_lines_an_epoch_are_read(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    lines = ["epoch,step,train_loss,validation_loss", "0,9,,0.5", "0,9,0.7,", "1,19,,0.4", "1,19,0.6,"]
    (tmp_path / "history" / "metrics.csv").write_text("\n".join(lines) + "\n")
    assert read_history(tmp_path) == {"train_loss": [0.7, 0.6], "validation_loss": [0.5, 0.4]}


def test_tensorboard_gets_the_terms_where_it_is_installed(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    fitted(tmp_path)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    values = [event.value for event in events.Scalars("validation_loss")]
    assert values == pytest.approx(read_history(tmp_path)["validation_loss"], rel=1e-6)


# options


def test_a_batch_that_devices_cannot_share_is_refused() -> None:
    with pytest.raises(ValidationError, match="batch_size 3 is no multiple of devices 2"):
        StageOptions(batch_size=3, devices=2)


def test_tasks_of_a_queueing_system_that_are_not_the_devices_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "3")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    with pytest.raises(InvalidInputError, match="devices is 1, which cannot be used: .*ntasks-per-node"):
        fitted(tmp_path)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "3")
    with pytest.raises(InvalidInputError, match="devices is 1, which cannot be used: .*devices=3"):
        fitted(tmp_path)


@pytest.mark.parametrize("changes", [{"workers": 2}, {"gradient_checkpointing": True}, {"compile": True}])
def test_a_run_goes_on_with_other_machine_options(tiny_run: Path, tiny_store: FlowStore, changes: dict[str, Any]) -> None:
    config = LatentRecipe.model_validate({**TINY_TRAINING, "vae3d": {**TINY_TRAINING["vae3d"], **changes}})
    assert train("vae3d", tiny_store.path, tiny_run, config).is_file()


def test_a_run_begun_before_an_option_existed_is_accepted(tiny_run: Path, tiny_store: FlowStore, tmp_path: Path) -> None:
    claim = json.loads((tiny_run / "run.json").read_text())
    del claim["fold"]
    for stage in STAGES:
        del claim["recipe"][stage]["accumulate"]
    (tmp_path / "run.json").write_text(json.dumps(claim))
    (tmp_path / "vae3d").mkdir()
    (tmp_path / "vae3d" / "networks.safetensors").write_bytes((tiny_run / "vae3d" / "networks.safetensors").read_bytes())
    train("vae3d", tiny_store.path, tmp_path, LatentRecipe.model_validate(TINY_TRAINING))
    other = {**TINY_TRAINING, "vae3d": {**TINY_TRAINING["vae3d"], "accumulate": 2}}
    with pytest.raises(InvalidInputError, match="another recipe"):
        train("vae3d", tiny_store.path, tmp_path, LatentRecipe.model_validate(other))


def test_a_compiler_that_fails_is_explained_in_one_line() -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise OSError("no compiler here")

    block = ResidualBlock(4)
    block.compile(backend=broken)
    message = r"torch\.compile failed \(.*no compiler here.*compile: false"
    with pytest.raises(InvalidInputError, match=message), explained_compiler_errors():
        block(torch.ones(1, 4, 2, 4, 4))


def test_the_outermost_networks_with_a_forward_are_compiled() -> None:
    networks = LatentDiffusion(LatentArchitecture(latent_channels=2, width=8, blocks=(1, 1, 1, 1), denoiser_blocks=1))
    names = list(networks.state_dict())
    compile_networks(networks)
    compiled = {name for name, module in networks.named_modules() if module._compiled_call_impl is not None}
    assert compiled == {"vae.encoder_3d", "vae.decoder_3d", "vae.encoder_2d", "vae.decoder_2d", "denoiser"}
    assert list(networks.state_dict()) == names


# folds


def folded(source: FlowSource, fold: Fold) -> FlowSource:
    return source.with_division(fold_division(source, fold))


def test_folds_are_disjoint_and_cover_training_and_validation_alone(tiny_store: FlowStore) -> None:
    source = open_flows(tiny_store.path)
    pool = sorted([*source.indices("train").tolist(), *source.indices("validation").tolist()])
    folds = [folded(source, Fold(index, 3)) for index in range(3)]
    held = [fold.indices("validation").tolist() for fold in folds]
    assert sorted(itertools.chain(*held)) == pool
    for fold, part in zip(folds, held, strict=True):
        assert sorted([*fold.indices("train").tolist(), *part]) == pool
        assert fold.indices("test").tolist() == source.indices("test").tolist()
        assert fold.statistics["samples"] == len(fold.indices("train"))


def test_copies_of_a_medium_fall_into_one_fold(tiny_store: FlowStore) -> None:
    class Doubled:
        """Every medium of the store twice, the second time mirrored."""

        path = "doubled"

        @property
        def division(self) -> Division:
            parts = tiny_store.division.parts().values()
            return Division(*(tuple(2 * number + copy for number in part for copy in (0, 1)) for part in parts))

        def microstructure(self, index: int) -> Any:
            from resinflow.flow.microstructure import Microstructure

            medium = tiny_store.microstructure(index // 2)
            return medium if index % 2 == 0 else Microstructure(medium.fluid[:, ::-1].copy(), medium.spacing)

    source: Any = Doubled()
    assert canonical_fingerprint(source.microstructure(0)) == canonical_fingerprint(source.microstructure(1))
    for index in range(2):
        held = set(fold_division(source, Fold(index, 2)).validation)
        assert held
        assert all(member ^ 1 in held for member in held)


def test_a_fold_trains_on_its_own_samples_and_claims_the_run(tiny_store: FlowStore, tiny_run: Path, tmp_path: Path) -> None:
    config = LatentRecipe.model_validate(TINY_TRAINING)
    train("vae3d", tiny_store.path, tmp_path, config, fold=Fold(1, 3))
    with (tmp_path / "vae3d" / "history" / "metrics.csv").open(newline="") as file:
        fold_rows = list(csv.DictReader(file))
    assert len(fold_rows) == 2
    assert best_validation_loss(tmp_path, "vae3d") != best_validation_loss(tiny_run, "vae3d")
    with pytest.raises(InvalidInputError, match="another fold"):
        train("vae3d", tiny_store.path, tmp_path, config, fold=Fold(0, 3))


@pytest.mark.parametrize(("index", "count"), [(0, 1), (3, 3), (-1, 2)])
def test_a_fold_out_of_range_is_refused(index: int, count: int) -> None:
    with pytest.raises(InvalidInputError, match="needed: 0 to count - 1"):
        Fold(index, count)


def test_more_folds_than_media_are_refused(tiny_store: FlowStore) -> None:
    with pytest.raises(InvalidInputError, match="needed: at least one for 50 folds"):
        folded(open_flows(tiny_store.path), Fold(0, 50))
