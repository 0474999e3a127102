"""Claims about published checkpoints: what conversion keeps and refuses, and that predictions follow the published recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from resinflow.cli.app import main
from resinflow.diffusion.ddpm import NoiseSchedule
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.start import StartFlows
from resinflow.presets.families import load_model
from resinflow.presets.paper.convert import convert_published
from resinflow.presets.paper.networks.system import PaperSystem, slice_distance
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import DenoiserSizes, PaperArchitecture, VaeSizes
from resinflow.stokes.planar import planar_flow

REFERENCE = Path(__file__).parents[1].parent / "shared" / "reference"
STEPS = 40
FACTORS = (3e-3, 2e-3, 1e-3)
SMALL = PaperArchitecture(
    vae=VaeSizes(widths=(32, 32, 64)),
    unet=DenoiserSizes(features=(8, 16), attention_from=2, padding_mode="replicate"),
    timesteps=STEPS,
)
"""Small, of the published structure; height and width must be multiples of 16."""


@pytest.fixture(scope="module")
def system() -> PaperSystem:
    torch.manual_seed(3)
    built = PaperSystem(SMALL).eval()
    for layer in built.modules():  # new networks end in zeros: give every layer a say
        if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.weight.abs().max() == 0:
            nn.init.normal_(layer.weight, std=0.05)
    built.norm_factors.copy_(torch.tensor(FACTORS))
    return built


def predictor_state(system: PaperSystem) -> dict[str, torch.Tensor]:
    """What the published diffusion program saves."""
    schedule = NoiseSchedule.linear(system.architecture.timesteps)
    return {
        "distance_transform": torch.ones(1),
        "normalizer.input.scale_factors": torch.ones(1),
        "normalizer.output.scale_factors": system.norm_factors.clone(),
        **{f"scheduler.{field.name}": getattr(schedule, field.name) for field in fields(schedule)},
        **{name: value for name, value in system.state_dict().items() if name != "norm_factors"},
    }


def vae_state(system: PaperSystem) -> dict[str, torch.Tensor]:
    return dict(system.vae.state_dict())


DIFFUSION_LOG = {
    "params": {
        "name": "run",
        "save_dir": "/home/someone/runs",
        "dataset": {"root_dir": "/data/flows", "batch_size": 4},
        "training": {
            "learning_rate": 1e-3,
            "predictor": {
                "model_name": "UNet",
                "model_kwargs": {
                    "features": [8, 16],
                    "padding_mode": "replicate",
                    "activation": "silu",
                    "final_activation": None,
                    "attention": "2..2",
                    "dropout": 0.1,
                },
                "vae_path": "/home/someone/vae",
                "vae_encoder_path": "/home/someone/vae2d",
            },
        },
    },
    "train_loss": [0.5, 0.4],
}
STAGE_1_LOG = {"norm_factors": list(FACTORS), "norm_mode": "max", "loss": {"recons_train": [1.0]}}
STAGE_2_LOG = {**STAGE_1_LOG, "stage1_checkpoint": "/home/someone/vae/vae.pt", "lambda_cross": 50}


def write(folder: Path, file: str, state: Any, log: dict[str, Any] | None = None, log_file: str = "log.json") -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / file)
    if log is not None:
        (folder / log_file).write_text(json.dumps(log))
    return folder


@pytest.fixture(scope="module")
def model(system: PaperSystem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The converted directory of a small diffusion checkpoint; tests only read it."""
    folder = tmp_path_factory.mktemp("published")
    write(folder / "run", "best_model.pt", predictor_state(system), DIFFUSION_LOG)
    return convert_published(folder / "run", folder / "model", steps=3)


@pytest.fixture(scope="module")
def micro() -> Microstructure:
    settings = BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=10)
    return fibre_bundle((3, 16, 32), (12e-6, 20e-6, 40e-6), seed=5, settings=settings)


@pytest.fixture(scope="module")
def planar(micro: Microstructure) -> FlowField:
    return planar_flow(micro)


def flows(planar: FlowField) -> StartFlows:
    return StartFlows(planar, planar)  # the published model asks for nothing else


# names and shapes


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the names of the published weights are not here")
def test_our_names_and_shapes_are_the_published_ones_but_for_what_is_computed() -> None:
    with torch.device("meta"):
        whole = PaperSystem(PaperArchitecture())
    ours = {name: list(value.shape) for name, value in whole.state_dict().items()}
    published = json.loads((REFERENCE / "predictor_state_dict.json").read_text())
    assert ours.pop("norm_factors") == published["normalizer.output.scale_factors"]
    assert {name: published.get(name) for name in ours} == ours
    rest = {name.split(".")[0] for name in set(published) - set(ours)}
    assert rest == {"distance_transform", "normalizer", "scheduler"}


# conversion


def test_a_converted_diffusion_checkpoint_holds_the_same_weights_and_sizes(system: PaperSystem, model: Path) -> None:
    loaded = load_model(model)
    assert isinstance(loaded, PaperPredictor)
    expected, found = system.state_dict(), loaded.networks.state_dict()
    assert set(expected) == set(found)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert loaded.architecture.vae == SMALL.vae
    assert loaded.architecture.unet is not None
    assert loaded.architecture.unet.model_copy(update={"dropout": 0.0}) == SMALL.unet
    assert loaded.architecture.unet.dropout == 0.1
    assert loaded.architecture.timesteps == STEPS
    assert loaded.architecture.sampling.steps == 3


def test_nothing_of_another_machine_is_kept(model: Path) -> None:
    texts = [path.read_text() for path in model.glob("*.json")]
    assert len(texts) == 2
    assert not any("/home" in text or "/data" in text for text in texts)
    assert json.loads((model / "log.json").read_text())["published_log"]["train_loss"] == [0.5, 0.4]


def test_a_folder_gives_its_best_epoch_before_its_last(system: PaperSystem, tmp_path: Path) -> None:
    last = {name: value + 1 if name == "model.final_conv.bias" else value for name, value in predictor_state(system).items()}
    folder = write(tmp_path / "run", "model.pt", last, DIFFUSION_LOG)
    write(folder, "best_model.pt", predictor_state(system))
    best = PaperPredictor.load(convert_published(folder, tmp_path / "best")).networks
    named = PaperPredictor.load(convert_published(folder / "model.pt", tmp_path / "last")).networks
    assert best.model is not None
    assert named.model is not None
    assert torch.equal(best.model.final_conv.bias + 1, named.model.final_conv.bias)


@pytest.mark.parametrize(
    ("log", "file", "trained"),
    [
        (STAGE_1_LOG, "vae.pt", {"encoder_3d", "decoder_3d"}),
        (STAGE_2_LOG, "best_model.pt", {"encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d"}),
    ],
)
def test_vae_checkpoints_keep_their_factors_and_say_what_is_trained(
    system: PaperSystem, tmp_path: Path, log: dict, file: str, trained: set[str]
) -> None:
    folder = write(tmp_path / "vae", file, vae_state(system), log, "vae_log.json")
    loaded = PaperPredictor.load(convert_published(folder, tmp_path / "model"))
    assert set(loaded.architecture.trained) == trained
    assert torch.equal(loaded.networks.norm_factors, torch.tensor(FACTORS))
    assert all(torch.equal(value, loaded.networks.vae.state_dict()[name]) for name, value in vae_state(system).items())


ENCODER = ("conv_in", "res1_1", "res1_2", "down1", "res2_1", "res2_2", "down2", "res3_1", "res3_2", "norm_out", "", "conv_out")
DECODER = (
    *("conv_in", "res1_1", "res1_2", "", "conv_up1", "res2_1", "res2_2", "", "conv_up2", "res3_1", "res3_2"),
    *("norm_out", "", "conv_out"),
)


def numbered(name: str) -> str:
    """The name that older programs gave to a layer."""
    network, layer, rest = name.split(".", 2)
    return f"{network}.layers.{(ENCODER if 'encoder' in network else DECODER).index(layer)}.{rest}"


def test_numbered_layers_of_older_checkpoints_are_understood(system: PaperSystem, tmp_path: Path) -> None:
    older = {numbered(name): value for name, value in vae_state(system).items()}
    assert all(".layers." in name for name in older)
    folder = write(tmp_path / "vae", "vae.pt", older, STAGE_2_LOG, "vae_log.json")
    loaded = PaperPredictor.load(convert_published(folder, tmp_path / "model"))
    assert all(torch.equal(value, loaded.networks.vae.state_dict()[name]) for name, value in vae_state(system).items())


Damage = Callable[[dict[str, torch.Tensor], Path], Any]


def without(name: str) -> Damage:
    return lambda state, _: {key: value for key, value in state.items() if key != name}


def with_value(name: str, value: torch.Tensor) -> Damage:
    return lambda state, _: {**state, name: value}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("vae.encoder_2d.conv_in.weight"), "does not fit"),
        (without("model.final_conv.weight"), "incomplete U-Net"),
        (without("normalizer.output.scale_factors"), "lacks normalizer.output.scale_factors"),
        (with_value("normalizer.output.scale_factors", torch.ones(8)), "3 positive numbers"),
        (with_value("scheduler.betas", torch.full((STEPS,), 0.01)), "linear schedule"),
        (with_value("vae.decoder_3d.conv_out.weight", torch.ones(3, 32, 3, 3, 1)), "does not fit"),
        (with_value("model.final_conv.bias", torch.full((8,), torch.nan)), "NaN"),
        (lambda state, _: {"resnet.weight": torch.ones(2)}, "no checkpoint of the published"),
        (lambda state, _: [torch.ones(2)], "no state dict"),
    ],
)
def test_a_wrong_checkpoint_is_refused_in_one_line(system: PaperSystem, tmp_path: Path, damage: Damage, message: str) -> None:
    folder = write(tmp_path / "run", "model.pt", damage(predictor_state(system), tmp_path))
    with pytest.raises(InvalidInputError, match=message) as caught:
        convert_published(folder, tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kept", [0, 100, 20_000])
def test_a_truncated_file_is_refused_in_one_line(system: PaperSystem, tmp_path: Path, kept: int) -> None:
    file = write(tmp_path / "run", "model.pt", predictor_state(system)) / "model.pt"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InvalidInputError, match="cannot be read as PyTorch weights") as caught:
        convert_published(file, tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "harm",))  # type: ignore[return-value]

    torch.save({"model.weight": Harmful()}, tmp_path / "model.pt")
    with pytest.raises(InvalidInputError, match="cannot be read as PyTorch weights"):
        convert_published(tmp_path / "model.pt", tmp_path / "out")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("log", "message"),
    [(None, "names no norm_factors"), ({"norm_factors": [1.0, 0.0, 1.0]}, "3 positive"), ("[1]", "JSON object")],
)
def test_a_vae_without_its_factors_is_refused(system: PaperSystem, tmp_path: Path, log: Any, message: str) -> None:
    folder = write(tmp_path / "vae", "vae.pt", vae_state(system))
    if log is not None:
        (folder / "vae_log.json").write_text(log if isinstance(log, str) else json.dumps(log))
    with pytest.raises(InvalidInputError, match=message):
        convert_published(folder, tmp_path / "model")


def test_other_activations_under_the_same_names_are_refused(system: PaperSystem, tmp_path: Path) -> None:
    log = {"params": {"training": {"predictor": {"model_kwargs": {"activation": "relu"}}}}}
    folder = write(tmp_path / "run", "model.pt", predictor_state(system), log)
    with pytest.raises(InvalidInputError, match="activation 'relu'"):
        convert_published(folder, tmp_path / "model")


# prediction


def published_prediction(
    system: PaperSystem, fluid: np.ndarray, planar: np.ndarray, noise: torch.Tensor, steps: int
) -> np.ndarray:
    """DDIM with eta 0 by the published recipe, written from its description, slice by slice. Arrays (S, H, W), (3, S, H, W)."""
    factors = torch.tensor(FACTORS).view(3, 1, 1, 1)
    field = torch.tensor(planar).float() / factors
    condition = system.vae.encoder_2d(field[None])[0, :8]  # mean of the latent, (8, S, h, w)
    distance = np.stack([ndimage.distance_transform_edt(mask) for mask in fluid])
    reduced = np.mean([distance[:, 1 + i :: 4, 1 + j :: 4] for i in (0, 1) for j in (0, 1)], axis=0)
    beta = np.linspace(1e-4, 2e-2, STEPS)
    share = np.cumprod(1 - beta)
    times = [int(t) for t in np.linspace(STEPS - 1, 0, steps)]
    slices = []
    for index in range(len(fluid)):
        x = noise[index]
        feature = torch.from_numpy(reduced[index]).float()[None]
        for t, before in zip(times, [*times[1:], -1], strict=True):
            assert system.model is not None
            estimate = system.model(torch.cat([x, condition[:, index], feature])[None], torch.tensor([t]))[0]
            clean = ((x - np.sqrt(1 - share[t]) * estimate) / np.sqrt(share[t])).clamp(-30, 30)
            then = share[before] if before >= 0 else 1.0
            x = np.sqrt(then) * clean + np.sqrt(1 - then) * estimate
        slices.append(x)
    decoded = system.vae.decoder_3d(torch.stack(slices, dim=1)[None])[0] * factors
    return decoded.numpy() * fluid


@torch.inference_mode()
def test_ddim_follows_the_published_recipe_given_the_same_noise(
    system: PaperSystem, model: Path, micro: Microstructure, planar: FlowField
) -> None:
    noise = torch.randn(3, 8, 4, 8, generator=torch.Generator().manual_seed(11))
    expected = published_prediction(system, micro.fluid, planar.velocity, noise, steps=7)
    flow = PaperPredictor.load(model).predict(micro, start=flows(planar), steps=7, seed=11)
    assert np.abs(expected).max() > 1e-4
    assert np.abs(flow.velocity - expected).max() < 2e-5 * max(FACTORS)
    assert isinstance(flow.report, ModelReport)
    assert (flow.report.sampler, flow.report.steps) == ("ddim", 7)


@torch.inference_mode()
def test_ddpm_with_the_generator_of_the_published_program_gives_its_flow(
    system: PaperSystem, model: Path, micro: Microstructure, planar: FlowField
) -> None:
    fluid = torch.tensor(micro.fluid).float()[None, :, None]
    velocity = torch.tensor(planar.velocity).float().transpose(0, 1)[None]
    conditions, schedule = system.conditions(fluid, velocity), NoiseSchedule.linear(STEPS)
    torch.manual_seed(23)
    x = torch.randn(3, 8, 4, 8)
    for t in range(STEPS - 1, -1, -1):
        assert system.model is not None
        estimate = system.model(torch.cat([x, conditions], dim=1), torch.full((3,), t))
        clean = schedule.clean_estimate(x, estimate, torch.full((3,), t)).clamp(-30, 30)
        mean = schedule.posterior_mean_coef1[t] * clean + schedule.posterior_mean_coef2[t] * x
        x = mean + (schedule.posterior_variance[t].sqrt() * torch.randn_like(x) if t else 0)
    expected = system.decode(x, fluid)[0].transpose(0, 1).numpy()
    flow = PaperPredictor.load(model).predict(micro, start=flows(planar), sampler="ddpm", seed=23)
    assert np.abs(flow.velocity - expected).max() < 2e-5 * max(FACTORS)


def test_a_sample_depends_on_its_seed_alone(model: Path, micro: Microstructure, planar: FlowField) -> None:
    predictor = PaperPredictor.load(model)

    def permeabilities(**options: Any) -> np.ndarray:
        found = predictor.predict(micro, start=flows(planar), steps=2, **options).permeability_samples
        assert found is not None
        return found

    two, three = permeabilities(samples=2, seed=1), permeabilities(samples=3, seed=1)
    assert np.array_equal(two, three[:2])
    assert len(set(three)) == 3
    assert not np.array_equal(two, permeabilities(samples=2, seed=2))


def test_fresh_noise_changes_ddim_and_is_reproducible(model: Path, micro: Microstructure, planar: FlowField) -> None:
    predictor = PaperPredictor.load(model)
    first, again, still = (predictor.predict(micro, start=flows(planar), steps=4, eta=eta).velocity for eta in (1.0, 1.0, 0.0))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, still)


def test_the_flow_rests_in_the_fibres_and_its_pressure_is_the_planar_one_which_is_said(
    model: Path, micro: Microstructure, planar: FlowField
) -> None:
    flow = PaperPredictor.load(model).predict(micro, start=flows(planar))
    assert np.abs(flow.velocity[:, ~micro.fluid]).max() == 0
    assert np.array_equal(flow.pressure, planar.pressure)
    assert flow.report is not None
    assert "pressure of its flow is the planar flow's" in flow.report.warnings[0]


def test_flow_along_y_is_the_turned_flow_along_x(model: Path, micro: Microstructure) -> None:
    turned = Microstructure(micro.fluid.swapaxes(1, 2), micro.spacing)
    predictor = load_model(model)
    along_x, along_y = predictor.predict(micro), predictor.predict(turned, axis="y")
    assert along_y.permeability == pytest.approx(along_x.permeability, rel=1e-4)
    expected = along_x.velocity[[1, 0, 2]].swapaxes(2, 3)
    assert np.abs(along_y.velocity - expected).max() < 1e-4 * np.abs(expected).max()


def test_sizes_that_the_networks_do_not_divide_are_padded_cropped_and_told(model: Path) -> None:
    odd = fibre_bundle((2, 18, 21), (8e-6, 20e-6, 23.3e-6), seed=2, volume_fraction=0.4)
    flow = load_model(model).predict(odd)
    assert flow.velocity.shape == (3, 2, 18, 21)
    assert flow.report is not None
    assert "21 x 18 pixels were padded with fibre to 32 x 32" in flow.report.warnings[1]


def test_reflecting_convolutions_get_enough_pixels_to_reflect(micro: Microstructure, planar: FlowField) -> None:
    reflecting = DenoiserSizes(features=(8, 16), attention_from=None, padding_mode="reflect")
    built = PaperSystem(SMALL.model_copy(update={"unet": reflecting}))
    flow = PaperPredictor("paper", built.architecture, built).predict(micro, start=flows(planar), steps=1)
    assert flow.report is not None
    assert "32 x 16 pixels were padded with fibre to 32 x 32" in flow.report.warnings[1]


def test_a_drive_that_the_training_never_saw_is_told(model: Path, micro: Microstructure, planar: FlowField) -> None:
    largest = float(np.abs(planar.velocity).max())
    predictor = PaperPredictor.load(model)
    told = {}
    for name, ratio in (("known", 1.0), ("foreign", 40.0)):
        scaled = FlowField(
            micro,
            planar.velocity * (ratio * max(FACTORS) / largest),
            planar.pressure,
            axis="x",
            pressure_drop=1e5,
            viscosity=0.1,
        )
        report = predictor.predict(micro, start=flows(scaled)).report
        assert report is not None
        told[name] = " ".join(report.warnings)
    assert "times that of the model's training data" in told["foreign"]
    assert "times that of the model's training data" not in told["known"]


def test_bfloat16_networks_stay_close_and_their_weights_whole_on_disk(
    system: PaperSystem, tmp_path: Path, micro: Microstructure, planar: FlowField
) -> None:
    folder = write(tmp_path / "run", "model.pt", predictor_state(system), DIFFUSION_LOG)
    found = []
    for precision in ("float32", "bfloat16"):
        directory = convert_published(folder, tmp_path / precision, precision=precision)  # pyright: ignore[reportArgumentType]
        found.append(load_model(directory).predict(micro, start=flows(planar), steps=4).velocity)
    whole, reduced = found
    assert 0 < np.linalg.norm(reduced - whole) < 0.1 * np.linalg.norm(whole)
    files = [tmp_path / precision / "model.safetensors" for precision in ("float32", "bfloat16")]
    assert files[0].read_bytes() == files[1].read_bytes()


@torch.inference_mode()
def test_the_encoder_runs_once_for_all_steps(system: PaperSystem, micro: Microstructure, planar: FlowField) -> None:
    calls = []
    handle = system.vae.encoder_2d.register_forward_hook(lambda *_: calls.append(1))
    PaperPredictor("paper", system.architecture, system).predict(micro, start=flows(planar), steps=5)
    handle.remove()
    assert len(calls) == 1


def test_the_distance_of_a_slice_without_fibre_is_that_to_the_pixel_above_its_corner() -> None:
    assert np.array_equal(slice_distance(np.ones((2, 3), dtype=bool))[0], np.hypot(1, [0, 1, 2]).astype(np.float32))
    masked = np.ones((1, 4), dtype=bool)
    masked[0, 0] = False
    assert np.array_equal(slice_distance(masked), [[0, 1, 2, 3]])


def test_a_vae_alone_reconstructs_but_does_not_predict(
    system: PaperSystem, tmp_path: Path, micro: Microstructure, planar: FlowField
) -> None:
    folder = write(tmp_path / "vae", "vae.pt", vae_state(system), STAGE_2_LOG, "vae_log.json")
    predictor = PaperPredictor.load(convert_published(folder, tmp_path / "model"))
    for flow in (predictor.mean_latent(flows(planar)), predictor.reconstruct(planar, flows(planar))):
        assert flow.velocity.shape == planar.velocity.shape
        assert np.abs(flow.velocity).max() > 0
    with pytest.raises(InvalidInputError, match="no trained unet"):
        predictor.predict(micro, start=flows(planar))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axis": "z"}, "x or y"),
        ({"samples": 0}, "at least 1"),
        ({"steps": -2}, "at least 1"),
        ({"eta": 1.5}, "eta from 0 to 1"),
        ({"sampler": "euler"}, "ddim or ddpm"),
    ],
)
def test_options_that_cannot_be_are_refused(model: Path, micro: Microstructure, options: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_model(model).predict(micro, **options)


@pytest.mark.parametrize("damage", ["truncated", "missing", "unknown key"])
def test_a_damaged_model_directory_is_refused_in_one_line(system: PaperSystem, tmp_path: Path, damage: str) -> None:
    directory = PaperPredictor("paper", system.architecture, system).save(tmp_path / "model")
    weights, config = directory / "model.safetensors", directory / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "missing":
        weights.unlink()
    else:
        config.write_text(config.read_text().replace('"widths"', '"girths"'))
    with pytest.raises(InvalidInputError) as caught:
        load_model(directory)
    assert "\n" not in str(caught.value)


def test_the_command_converts_and_predict_takes_its_model(
    system: PaperSystem, tmp_path: Path, planar: FlowField, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", "best_model.pt", predictor_state(system), DIFFUSION_LOG)
    main(["model", "convert", "run", "out", "--sampler", "ddpm"])
    assert re.search(r"wrote out$", capsys.readouterr().out, re.MULTILINE)
    planar.save(tmp_path / "medium.npz")
    main(["predict", "medium.npz", "--model", "out", "-o", "flow.npz"])
    assert "planar flow's" in capsys.readouterr().out
    flow = FlowField.load(tmp_path / "flow.npz")
    assert isinstance(flow.report, ModelReport)
    assert (flow.report.sampler, flow.report.steps) == ("ddpm", STEPS)
    main(["predict", "medium.npz", "--model", "out", "--sampler", "ddim", "--steps", "3", "--eta", "0.5", "-o", "other.npz"])
    other = FlowField.load(tmp_path / "other.npz")
    assert isinstance(other.report, ModelReport)
    assert (other.report.sampler, other.report.steps) == ("ddim", 3)
    with pytest.raises(SystemExit):
        main(["predict", "medium.npz", "--sampler", "ddim"])
    assert "small has no choice of it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["model", "convert", "nowhere", "out2"])
    assert "nowhere does not exist" in capsys.readouterr().err
