"""Claims about devices: one notion of them, every tensor of a prediction on the networks' own, the same noise everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from resinflow.diffusion.ddpm import standard_normal
from resinflow.flow.errors import InvalidInputError
from resinflow.models.device import arithmetic, product_type, quickest, resolve_device
from resinflow.models.features import CHANNELS
from resinflow.models.predictor import ResolvedSampling
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.recipe import DirectArchitecture
from resinflow.presets.families import load_model
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import LatentArchitecture
from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import DenoiserSizes, PaperArchitecture, VaeSizes

META = torch.device("meta")
"""A device of its own, without numbers: an operation between it and the CPU is refused, as between the GPU and the CPU."""


def test_the_name_of_a_device_gives_it_or_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(InvalidInputError, match="PyTorch sees no GPU here"):
        resolve_device("cuda")
    with pytest.raises(InvalidInputError, match="needed: auto, cpu or cuda"):
        resolve_device("gpu")  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")


def test_a_model_on_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInputError, match="PyTorch sees no GPU here"):
        load_model("small", device="cuda")
    assert load_model("small").device == torch.device("cpu")


def test_integers_are_the_quickest_where_the_cpu_has_them_and_bfloat16_is_never_emulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = torch.device("cpu")
    monkeypatch.setattr("resinflow.models.device.has_integers", lambda: True)
    assert [quickest(place, name) for name in ("auto", "float32", "bfloat16")] == ["int8", "float32", "bfloat16"]
    assert quickest(torch.device("cuda"), "auto") == "auto"
    monkeypatch.setattr("resinflow.models.device.has_integers", lambda: False)
    monkeypatch.setattr("resinflow.models.device.has_bfloat16", lambda device: False)
    assert quickest(place, "auto") == "auto"
    assert product_type(place, "int8") == product_type(place, "auto") == torch.float32


@pytest.mark.parametrize("process", ["bridge", "ddpm"])
def test_every_tensor_of_a_latent_prediction_is_on_the_networks_device(process: Literal["bridge", "ddpm"]) -> None:
    config = LatentArchitecture(latent_channels=2, width=4, blocks=(1, 1, 1, 1), denoiser_blocks=1, process=process)
    model = LatentPredictor("tiny", config, LatentDiffusion(config).to(META))
    fields = torch.zeros(2, len(CHANNELS), 3, 8, 12, device=model.device)
    outputs = model.sampled(fields, [1, 2], steps=3)
    assert (outputs.device, outputs.shape) == (META, (2, 4, 3, 8, 12))


def test_every_tensor_of_a_direct_prediction_is_on_the_networks_device() -> None:
    config = DirectArchitecture.model_validate({"network": {"kind": "unet", "widths": [4, 4], "blocks": [1, 1]}})
    outputs = DirectNetwork(config).to(META)(torch.zeros(1, len(CHANNELS), 3, 8, 12, device=META))
    assert (outputs.device, outputs.shape) == (META, (1, 4, 3, 8, 12))


@pytest.mark.parametrize("sampling", [ResolvedSampling(1, 2, "ddim", eta=1.0), ResolvedSampling(1, 4, "ddpm")])
def test_every_tensor_of_a_published_prediction_is_on_the_networks_device(sampling: ResolvedSampling) -> None:
    config = PaperArchitecture(
        vae=VaeSizes(widths=(32, 32, 32)),
        unet=DenoiserSizes(features=(8, 16), attention_from=None),
        timesteps=4,
        distance_transform=False,
    )
    model = PaperPredictor("tiny", config, PaperSystem(config).to(META))
    fluid, planar = (torch.zeros(1, 2, channels, 16, 16, device=META) for channels in (1, 3))
    velocity = model.sampled(fluid, planar, torch.Generator().manual_seed(0), sampling)
    assert (velocity.device, velocity.shape) == (META, (1, 2, 3, 16, 16))


def test_the_noise_of_a_seed_is_the_cpu_generators() -> None:
    noise = standard_normal(torch.zeros(2, 3, 4), [torch.Generator().manual_seed(seed) for seed in (7, 8)])
    for item, seed in zip(noise, (7, 8), strict=True):
        assert torch.equal(item, torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)))


def test_reduced_precision_is_taken_where_it_is_asked_for() -> None:
    product = torch.ones(2, 2)
    with arithmetic(torch.device("cpu"), "bfloat16"):
        assert (product @ product).dtype == torch.bfloat16
    with arithmetic(torch.device("cpu"), "float32"):
        assert (product @ product).dtype == torch.float32


def test_a_model_asked_for_on_the_cpu_predicts_as_by_default(tiny_run: Path) -> None:
    from resinflow.media.bundles import fibre_bundle

    micro = fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=5, volume_fraction=0.4)
    if torch.cuda.is_available():
        pytest.skip("by default a model is on the GPU here")
    first, second = (load_model(tiny_run / "model", device).predict(micro) for device in ("auto", "cpu"))
    assert np.array_equal(first.velocity, second.velocity)
