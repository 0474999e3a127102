"""Claims about loading: mirrored samples still solve Stokes, and neither workers nor memory change what is trained."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from resinflow.data import Sample
from resinflow.data.open import open_flows
from resinflow.data.store import FlowStore
from resinflow.flow import recover_faces
from resinflow.flow.drive import Drive
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.features import CHANNELS, MIRRORS, build_conditions, build_target
from resinflow.presets.latent.recipe import LatentArchitecture, LatentRecipe
from resinflow.presets.latent.stages import LatentPreset
from resinflow.stokes.algebra.outer import momentum_residual
from resinflow.stokes.algebra.pool import Pool
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.problem.pose import pose
from resinflow.stokes.problem.problem import to_state
from resinflow.stokes.response import response_flow
from resinflow.stokes.solve import solve
from resinflow.train.data import FlowDataset, Share, SharedSampler, StageData, flow_data
from resinflow.train.preset import Visit

PRESSURE_GAIN = 10.0
LATENT = LatentPreset()
RECIPE = LatentRecipe(model=LatentArchitecture(base="response"))
COMBINATIONS = [chosen for count in range(4) for chosen in itertools.combinations(MIRRORS, count)]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A solved bundle without any symmetry of its own."""
    micro = fibre_bundle(
        (5, 20, 24),
        (15e-6, 25e-6, 30e-6),
        seed=4,
        settings=BundleSettings(volume_fraction=0.4, diameter=9e-6, misalignment=14.0),
    )
    drive = {"pressure_drop": 2e5, "viscosity": 0.3}
    return Sample(
        solve(micro, **drive, tolerance=1e-12, wall_rule="plain"),
        planar_flow(micro, **drive, tolerance=1e-12),
        response_flow(micro, **drive),
    )


def pair_of(sample: Sample) -> tuple[Tensor, Tensor, float]:
    conditions = build_conditions(sample.planar, sample.response)
    target = build_target(sample.truth, sample.response, conditions)
    return torch.from_numpy(conditions.fields), torch.from_numpy(target), conditions.speed


def in_si(velocity: Tensor, deviation: Tensor, medium: Microstructure, sample: Sample, speed: float) -> FlowField:
    """A flow from dimensionless velocity and pressure deviation (in pressure drops), as the networks have them."""
    count = medium.shape[2]
    linear = 1 - (np.arange(count) + 0.5) / count
    return FlowField(
        medium,
        velocity.double().numpy() * speed,
        (deviation.double().numpy() + linear) * sample.truth.pressure_drop * medium.fluid,
        axis="x",
        pressure_drop=sample.truth.pressure_drop,
        viscosity=sample.truth.viscosity,
    )


def stokes_residual(flow: FlowField) -> float:
    """Momentum and continuity residual of velocity AND pressure by the solver's operators, over the load."""
    problem = pose(flow.microstructure, Drive(flow.axis, flow.pressure_drop, flow.viscosity), "plain")
    assert problem is not None
    faces = recover_faces(flow.velocity, flow.microstructure.fluid, flow.microstructure.spacing)
    staggered = FlowField(
        flow.microstructure,
        flow.velocity,
        flow.pressure,
        flow.axis,
        flow.pressure_drop,
        flow.viscosity,
        face_velocity=faces.components,
    )
    state = to_state(problem, staggered)
    with Pool(1) as pool:
        sizes = []
        for values in (state, np.zeros_like(state)):
            residual = problem.system.new_state()
            momentum_residual(pool, problem.system, values, residual)
            sizes.append(float(np.linalg.norm(residual[:, :-1])))
    return sizes[0] / sizes[1]


def medium_of(conditions: Tensor, sample: Sample) -> Microstructure:
    return Microstructure(conditions[0].numpy() > 0.5, sample.truth.microstructure.spacing)


def truth_of(conditions: Tensor, target: Tensor, sample: Sample, speed: float) -> FlowField:
    """The 3-D flow that a conditions-target pair stands for: the correction on top of the response flow."""
    first = CHANNELS.index("base_vx")
    velocity = conditions[first : first + 3] + target[:3]
    deviation = conditions[CHANNELS.index("base_pressure")] / PRESSURE_GAIN + target[3]
    return in_si(velocity, deviation, medium_of(conditions, sample), sample, speed)


def planar_of(conditions: Tensor, sample: Sample, speed: float) -> list[FlowField]:
    """The planar flow of a pair, slice by slice."""
    first = CHANNELS.index("planar_vx")
    velocity = torch.cat([conditions[first : first + 2], torch.zeros_like(conditions[:1])])
    deviation = conditions[CHANNELS.index("planar_pressure")] / PRESSURE_GAIN
    medium = medium_of(conditions, sample)
    return [
        in_si(velocity[:, k : k + 1], deviation[k : k + 1], medium.slice_at(k), sample, speed) for k in range(medium.shape[0])
    ]


@pytest.mark.parametrize("mirrors", COMBINATIONS, ids=["-".join(chosen) or "none" for chosen in COMBINATIONS])
def test_a_mirrored_target_solves_stokes_in_the_mirrored_medium(sample: Sample, mirrors) -> None:
    conditions, target, speed = pair_of(sample)
    before = stokes_residual(truth_of(conditions, target, sample, speed))
    turned, aim = LATENT.shown((conditions, target), mirrors, RECIPE)
    assert before < 1e-4  # float32 values over squared voxels
    assert stokes_residual(truth_of(turned, aim, sample, speed)) < 1.5 * before


@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_mirrored_planar_flow_solves_stokes_in_every_slice(sample: Sample, mirror) -> None:
    conditions, target, speed = pair_of(sample)
    before = max(stokes_residual(flow) for flow in planar_of(conditions, sample, speed))
    turned, _ = LATENT.shown((conditions, target), (mirror,), RECIPE)
    assert before < 1e-4
    assert max(stokes_residual(flow) for flow in planar_of(turned, sample, speed)) < 1.5 * before


@pytest.mark.parametrize("channel", range(4), ids=["vx", "vy", "vz", "pressure"])
@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_wrong_sign_of_one_mirrored_channel_is_no_solution(sample: Sample, mirror, channel: int) -> None:
    conditions, target, speed = pair_of(sample)
    before = stokes_residual(truth_of(conditions, target, sample, speed))
    turned, aim = LATENT.shown((conditions, target), (mirror,), RECIPE)
    aim = aim.clone()
    aim[channel] *= -1
    assert stokes_residual(truth_of(turned, aim, sample, speed)) > 100 * before


def test_mirrored_conditions_are_the_conditions_of_the_mirrored_medium(sample: Sample) -> None:
    micro = sample.truth.microstructure
    drive = {"pressure_drop": sample.truth.pressure_drop, "viscosity": sample.truth.viscosity}
    conditions, target, _ = pair_of(sample)
    for mirror, axis in zip(MIRRORS, (2, 1, 0), strict=True):
        assert micro.signed_distance is not None
        turned = Microstructure(np.flip(micro.fluid, axis), micro.spacing, np.flip(micro.signed_distance, axis))
        again = build_conditions(planar_flow(turned, **drive, tolerance=1e-12), response_flow(turned, **drive))
        found, _ = LATENT.shown((conditions, target), (mirror,), RECIPE)
        np.testing.assert_allclose(found.numpy(), again.fields, atol=2e-3)


def module_of(source, *, workers: int = 0, keep: bool = False, seed: int = 3) -> StageData:
    options = RECIPE.vae3d.model_copy(update={"batch_size": 2, "workers": workers})
    recipe = RECIPE.model_copy(update={"seed": seed, "vae3d": options})
    return flow_data(source, LATENT, recipe, "vae3d", memory=8e9 if keep else 0)


def epochs_of(module: StageData, count: int = 2) -> list[Tensor]:
    """All training batches of some epochs, as Lightning draws them."""
    loader = module.train_dataloader()
    found = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        found += [torch.cat([conditions.flatten(1), target.flatten(1)], dim=1) for conditions, target in loader]
    return found


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_does_not_change_the_batches(tiny_store: FlowStore, workers: int, keep: bool) -> None:
    alone = epochs_of(module_of(tiny_store))
    with_workers = epochs_of(module_of(tiny_store, workers=workers, keep=keep))
    assert len(alone) == len(with_workers) > 0
    assert all(torch.equal(one, other) for one, other in zip(alone, with_workers, strict=True))


def test_samples_kept_in_memory_give_the_batches_of_samples_that_are_read_again(tiny_store: FlowStore) -> None:
    lazy, kept = epochs_of(module_of(tiny_store)), epochs_of(module_of(tiny_store, keep=True))
    assert all(torch.equal(one, other) for one, other in zip(lazy, kept, strict=True))


def test_every_epoch_and_seed_has_its_own_order_and_mirrors(tiny_store: FlowStore) -> None:
    first, second = np.array_split(epochs_of(module_of(tiny_store)), 2)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.array_split(epochs_of(module_of(tiny_store, seed=4)), 2)[0])


def test_all_eight_combinations_of_mirrors_are_drawn_equally_often() -> None:
    drawn = [LATENT.mirrors("vae3d", RECIPE, Visit(2024, epoch, index, index)) for epoch in range(40) for index in range(100)]
    counts = [drawn.count(chosen) for chosen in COMBINATIONS]
    assert sum(counts) == 4000
    assert min(counts) > 420  # 500 +- 21 each
    assert max(counts) < 580


def test_a_kept_sample_is_read_once_and_a_lazy_one_every_time(tiny_store: FlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    read = FlowStore.sample
    monkeypatch.setattr(FlowStore, "sample", lambda self, index: (calls.append(index), read(self, index))[1])
    for keep, expected in ((True, 1), (False, 3)):
        calls.clear()
        dataset = FlowDataset(tiny_store, "train", LATENT, RECIPE, "vae3d")
        if keep:
            dataset.keep()
        for epoch in range(3):
            dataset[epoch, 0]
        assert len(calls) == expected


def test_auto_keeps_what_fits_into_the_limit(tiny_store: FlowStore) -> None:
    samples = len(tiny_store.indices("train")) + len(tiny_store.indices("validation"))
    needed = samples * (len(CHANNELS) + 4) * 3 * 16 * 16 * 2
    recipe = RECIPE.model_copy(update={"vae3d": RECIPE.vae3d.model_copy(update={"workers": None})})
    assert flow_data(tiny_store, LATENT, recipe, "vae3d", memory=needed).workers == 0
    assert flow_data(tiny_store, LATENT, recipe, "vae3d", memory=needed - 1).workers > 0


def test_lightning_tells_the_epoch_to_the_sampler(tiny_store: FlowStore) -> None:
    class Recorder(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.seen: list[Tensor] = []

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            self.seen.append(torch.cat([part.flatten(1) for part in batch], dim=1).clone())
            return self.weight

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    recorder = Recorder()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    L.Trainer(max_epochs=2, accelerator="cpu", num_sanity_val_steps=0, limit_val_batches=0, **quiet).fit(
        recorder, module_of(tiny_store)
    )
    expected = epochs_of(module_of(tiny_store))
    assert len(recorder.seen) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(recorder.seen, expected, strict=True))


def test_two_processes_share_an_epoch_without_overlap(tiny_store: FlowStore) -> None:
    dataset = FlowDataset(tiny_store, "train", LATENT, RECIPE, "vae3d")
    for shuffle, taken in ((True, len(dataset) // 2 * 2), (False, len(dataset))):
        shares = [list(SharedSampler(len(dataset), Share(rank, 2), 1, shuffle=shuffle)) for rank in range(2)]
        places = [place for share in shares for _, place in share]
        assert len(set(places)) == len(places) == taken


@pytest.fixture
def address(tiny_store: FlowStore) -> Iterator[str]:
    """The tiny store behind an HTTP server, as object storage serves one: single files by name, no listing."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def list_directory(self, path: object) -> None:
            self.send_error(404)

    root = Path(tiny_store.path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root.parent)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{root.name}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_store_behind_a_url_gives_the_batches_of_the_folder(tiny_store: FlowStore, address: str, workers: int) -> None:
    remote = open_flows(address)
    assert remote.path == address
    assert open_flows(Path(address)).path == address  # what a command line makes of it
    here, there = epochs_of(module_of(tiny_store), 1), epochs_of(module_of(remote, workers=workers), 1)
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))


def test_a_url_without_a_data_set_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(InvalidInputError, match="no data set can be read at http") as caught:
        open_flows(f"{address}-missing")
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidInputError, match="read only"):
        FlowStore.open(address, writable=True)


def test_a_copy_of_a_source_opens_its_arrays_itself(tiny_store: FlowStore) -> None:
    again = copy.deepcopy(tiny_store)
    assert again._group is not tiny_store._group
    assert again.sample(1).truth.permeability == tiny_store.sample(1).truth.permeability
