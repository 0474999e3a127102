"""Claims about the published layout: read, written, streamed, and turned from y onto x."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from resinflow.data.generate import generate
from resinflow.data.published.flows import PublishedFlows
from resinflow.data.published.layout import turn_x_onto_y, turn_y_onto_x
from resinflow.data.published.read import import_published
from resinflow.data.published.tensors import open_tensor, write_tensor
from resinflow.data.published.write import export_published
from resinflow.data.recipe import DataRecipe
from resinflow.data.schema import FIELDS, GRID_FIELDS
from resinflow.data.store import FlowStore, draw_splits
from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.solve import solve
from tests.conftest import TINY_RECIPE
from tests.tamper import group
from tests.test_data_store import contents

DRIVE = {"pressure_drop": 1e5, "viscosity": 0.1}
SETTINGS = BundleSettings(volume_fraction=0.35, diameter=8e-6, misalignment=10.0)


def make_published(
    folder: Path, *, cases: str = "xy", samples: int = 3, shape: tuple[int, ...] = (4, 6, 6), seed: int = 0
) -> Path:
    """A folder in the published layout, written with torch alone: random values, zero in the fibres."""
    generator = torch.Generator().manual_seed(seed)
    for axis in cases:
        (folder / axis).mkdir(parents=True)
        domain = (torch.rand((samples, shape[0], 1, *shape[1:]), generator=generator) > 0.3).float()
        velocity = torch.randn((samples, shape[0], 3, *shape[1:]), generator=generator) * 1e-3 * domain
        planar = torch.randn(velocity.shape, generator=generator) * domain
        planar[:, :, 2] = 0
        tensors = {
            "domain": domain,
            "U": velocity,
            "U_2d": planar,
            "p": torch.rand(domain.shape, generator=generator),
            "dxyz": torch.tensor([50e-6, 40e-6, 30e-6]).expand(samples, 3)
            * (1 + torch.rand((samples, 1), generator=generator)),
            "permeability": torch.rand((samples, 1), generator=generator),
        }
        for name, tensor in tensors.items():
            torch.save(tensor.contiguous(), folder / axis / f"{name}.pt")
    (folder / "statistics.json").write_text(json.dumps({"U": {"max": 1.5}, "p": {"max": 0.25}}))
    return folder


def bits(path: Path) -> tuple[tuple[int, ...], torch.dtype, bytes]:
    tensor = torch.load(path, weights_only=True)
    return tuple(tensor.shape), tensor.dtype, tensor.numpy().tobytes()


def published_bits(folder: Path) -> dict[str, object]:
    names = ("domain", "U", "U_2d", "p", "dxyz", "permeability")
    return {
        f"{axis}/{name}": bits(folder / axis / f"{name}.pt")
        for axis in "xy"
        for name in names
        if (folder / axis / f"{name}.pt").is_file()
    }


def test_a_published_set_comes_back_bit_for_bit(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given")
    store = import_published(source, tmp_path / "set.zarr", **DRIVE)
    export_published(store, tmp_path / "again")
    assert published_bits(tmp_path / "again") == published_bits(source)
    assert json.loads((tmp_path / "again/statistics.json").read_text()) == json.loads((source / "statistics.json").read_text())


def test_our_store_comes_back_byte_for_byte(tiny_store: FlowStore, tmp_path: Path) -> None:
    export_published(tiny_store, tmp_path / "published")
    import_published(tmp_path / "published", tmp_path / "again.zarr")
    assert contents(tmp_path / "again.zarr") == contents(tiny_store.path)


def test_a_store_that_came_from_a_published_set_comes_back_byte_for_byte(tmp_path: Path) -> None:
    store = import_published(make_published(tmp_path / "given"), tmp_path / "first.zarr", **DRIVE)
    export_published(store, tmp_path / "published")
    again = import_published(tmp_path / "published", tmp_path / "second.zarr")
    assert contents(again.path) == contents(store.path)


def test_the_published_files_hold_the_flow_in_their_axes_and_units(tiny_store: FlowStore, tmp_path: Path) -> None:
    folder = export_published(tiny_store, tmp_path / "published", plain=True)
    assert sorted(path.name for path in (folder / "x").iterdir()) == sorted(
        f"{name}.pt" for name in ("domain", "U", "U_2d", "p", "dxyz", "permeability")
    )
    sample, flow = 2, tiny_store.sample(2).truth
    velocity = torch.load(folder / "x/U.pt", weights_only=True, mmap=True)
    assert velocity.shape == (8, 3, 3, 16, 16)
    np.testing.assert_array_equal(velocity[sample, 1, 2].numpy(), flow.velocity[2, 1])
    dz, _, dx = flow.microstructure.spacing
    size = torch.load(folder / "x/dxyz.pt", weights_only=True)[sample].tolist()
    assert size == pytest.approx([16 * dx, 16 * dx, 2 * dz])  # the outer slices lie on the outer planes
    planar = torch.load(folder / "x/U_2d.pt", weights_only=True)
    assert (planar[:, :, 2] == 0).all()
    assert (planar[:, :, 0] != 0).any()


def test_statistics_are_those_of_the_training_split(tiny_store: FlowStore, tmp_path: Path) -> None:
    folder = export_published(tiny_store, tmp_path / "published")
    statistics = json.loads((folder / "statistics.json").read_text())
    train = torch.from_numpy(tiny_store.indices("train"))
    velocity = torch.load(folder / "x/U.pt", weights_only=True)[train].abs()
    domain = torch.load(folder / "x/domain.pt", weights_only=True)[train, :, 0] > 0
    for channel, component in enumerate("uvw"):
        found = statistics["U_per_component"]
        assert found[f"max_{component}"] == velocity[:, :, channel].max().item()
        assert found[f"mean_{component}"] == pytest.approx(velocity[:, :, channel][domain].double().mean().item())
    assert set(statistics) == {"U", "U_2d", "p", "dxyz", "U_per_component", "U_2d_per_component"}


@pytest.mark.parametrize("components", [2, 3])
def test_the_older_two_dimensional_set_comes_back_bit_for_bit(tmp_path: Path, components: int) -> None:
    folder = tmp_path / "flat" / "x"
    folder.mkdir(parents=True)
    domain = (torch.rand(4, 1, 8, 6) > 0.4).float()
    flow = torch.randn(4, components, 8, 6) * domain
    flow[:, 2:] = 0
    tensors = {"domain": domain, "U": flow, "p": torch.rand(4, 1, 8, 6), "dxyz": torch.full((4, 3), 50e-6)}
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pt")
    store = import_published(tmp_path / "flat", tmp_path / "flat.zarr", **DRIVE)
    assert store.shape == (1, 8, 6)
    np.testing.assert_array_equal(store.read("planar_velocity", 1)[1, 0], flow[1, 1].numpy())
    again = export_published(store, tmp_path / "again", plain=True)
    found = published_bits(again)
    assert {name: value for name, value in found.items() if "perm" not in name} == published_bits(tmp_path / "flat")


def test_a_flow_along_y_is_the_flow_along_x_of_the_turned_medium(tmp_path: Path) -> None:
    micro = fibre_bundle((3, 16, 12), (12e-6, 32e-6, 24e-6), seed=3, settings=SETTINGS)
    along_y = solve(micro, axis="y", tolerance=1e-8, wall_rule="plain")
    planar_y = planar_flow(micro, axis="y", tolerance=1e-8)
    folder = tmp_path / "given" / "y"
    folder.mkdir(parents=True)
    nz, ny, nx = micro.shape
    tensors = {
        "domain": micro.fluid[None, :, None],
        "U": np.moveaxis(along_y.velocity, 0, 1)[None],
        "U_2d": np.moveaxis(planar_y.velocity, 0, 1)[None],
        "p": along_y.pressure[None, :, None],
        "dxyz": np.array([[micro.extent[2], micro.extent[1], micro.spacing[0] * (nz - 1)]]),
    }
    for name, array in tensors.items():
        torch.save(torch.tensor(array.astype(np.float32)), folder / f"{name}.pt")
    store = import_published(tmp_path / "given", tmp_path / "y.zarr", **DRIVE)
    turned = store.microstructure(0)
    assert turned.shape == (nz, nx, ny)
    assert turned.spacing == pytest.approx((micro.spacing[0], micro.spacing[2], micro.spacing[1]))
    along_x, planar_x = solve(turned, tolerance=1e-8), planar_flow(turned, tolerance=1e-8)
    scale = np.abs(along_x.velocity).max()
    assert np.abs(store.read("velocity", 0) - along_x.velocity).max() < 1e-3 * scale
    assert np.abs(along_x.velocity[1]).max() > 0.05 * scale  # a wrong sign of vy would show
    assert np.abs(along_x.velocity[2]).max() > 0.01 * scale
    assert np.abs(store.read("planar_velocity", 0) - planar_x.velocity[:2]).max() < 1e-3 * np.abs(planar_x.velocity).max()
    assert np.abs(store.read("pressure", 0) - along_x.pressure).max() < 1e-3 * 1e5
    assert store.read("permeability", 0) == pytest.approx(along_x.permeability, rel=1e-4)


@pytest.mark.parametrize("name", ["velocity", "planar_velocity", "pressure", "spacing", "permeability"])
def test_turning_forth_and_back_changes_no_bit(name: str) -> None:
    shapes = {
        "velocity": (3, 2, 4, 5),
        "planar_velocity": (2, 2, 4, 5),
        "pressure": (2, 4, 5),
        "spacing": (3,),
        "permeability": (),
    }
    value = np.random.default_rng(0).standard_normal(shapes[name])
    assert np.ascontiguousarray(turn_x_onto_y(name, turn_y_onto_x(name, value))).tobytes() == value.tobytes()


def test_copies_along_x_and_y_of_one_medium_fall_into_one_split(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given", samples=8)
    for name in ("domain", "dxyz"):
        torch.save(torch.load(source / "x" / f"{name}.pt", weights_only=True), source / "y" / f"{name}.pt")
    store = import_published(source, tmp_path / "set.zarr", **DRIVE)
    parts = draw_splits(store).parts()
    assert sorted(index for part in parts.values() for index in part) == list(range(16))
    assert all({(index + 8) % 16 for index in part} == set(part) for part in parts.values())


def test_kinematic_pressure_is_stored_as_it_is_and_read_in_pascal(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given", cases="x", samples=1)
    store = import_published(source, tmp_path / "set.zarr", **DRIVE, density=1250.0)
    given = torch.load(source / "x/p.pt", weights_only=True)[0, :, 0].numpy()
    np.testing.assert_array_equal(store.read("pressure", 0), given)
    assert group(store)["pressure"].attrs["units"] == "m2 s-2"
    with pytest.raises(InvalidInputError, match="holds no planar_pressure.*--derive"):
        store.sample(0)


def test_derived_fields_make_a_published_set_fit_for_training(tiny_store: FlowStore, tmp_path: Path) -> None:
    folder = export_published(tiny_store, tmp_path / "published", plain=True)
    store = import_published(folder, tmp_path / "set.zarr", **DRIVE, density=2.0, derive=True)
    sample, truth = store.sample(1), tiny_store.sample(1)
    np.testing.assert_array_equal(sample.truth.velocity, truth.truth.velocity)
    np.testing.assert_array_equal(sample.truth.pressure, 2 * truth.truth.pressure)
    assert np.abs(sample.response.velocity - truth.response.velocity).max() < 1e-4 * truth.response.speed.max()
    assert np.abs(sample.planar.pressure - truth.planar.pressure).max() < 1e-2 * 1e5


def test_an_interrupted_conversion_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given")
    whole = import_published(source, tmp_path / "whole.zarr", **DRIVE)

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_published(source, tmp_path / "cut.zarr", **DRIVE, watch=interrupt)
    assert FlowStore.open(tmp_path / "cut.zarr").complete.sum() == 2
    import_published(source, tmp_path / "cut.zarr", **DRIVE)
    assert contents(tmp_path / "cut.zarr") == contents(whole.path)


def test_an_interrupted_export_leaves_nothing(tiny_store: FlowStore, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_published(tiny_store, tmp_path / "out" / "published", watch=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_conversion_holds_a_few_samples_in_memory_at_any_size_of_the_set(tmp_path: Path) -> None:
    samples, shape = 24, (2, 64, 64)
    source = make_published(tmp_path / "given", cases="x", samples=samples, shape=shape)
    one = 8 * int(np.prod(shape)) * 4  # all files of one sample, float32

    def peak(work) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    import_published(make_published(tmp_path / "warm"), tmp_path / "warm.zarr", **DRIVE)
    assert peak(lambda: import_published(source, tmp_path / "set.zarr", **DRIVE)) < 4 * one < samples * one / 5
    assert peak(lambda: export_published(FlowStore.open(tmp_path / "set.zarr"), tmp_path / "again")) < 4 * one


def test_a_streamed_tensor_file_is_a_whole_zip_that_torch_maps(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)
    write_tensor(tmp_path / "a.pt", values.shape, values.dtype, iter(values))
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        assert archive.testzip() is None  # all checksums hold
    np.testing.assert_array_equal(torch.load(tmp_path / "a.pt", weights_only=True, mmap=True).numpy(), values)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_too_few_values_for_a_tensor_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="8 bytes of values were given; needed: 12"):
        write_tensor(tmp_path / "a.pt", (3,), np.dtype(np.float32), [np.zeros(2, np.float32)])


class Hostile:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("hostile"),))


@pytest.mark.parametrize("content", [{"a": torch.zeros(2)}, Hostile(), torch.zeros(2, dtype=torch.complex64), "text"])
def test_a_file_that_is_no_tensor_of_numbers_is_refused_and_nothing_in_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InvalidInputError, match=r"a\.pt") as caught:
        open_tensor(tmp_path / "a.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hostile").exists()


def test_a_truncated_tensor_file_is_refused(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given", cases="x")
    file = source / "x/U.pt"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(InvalidInputError, match=r"U\.pt cannot be read as a tensor"):
        import_published(source, tmp_path / "set.zarr", **DRIVE)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("domain", lambda t: t * 0.5, "sample 0 holds values"),
        ("domain", lambda t: t[:, 0, 0], r"\(N, S, 1, H, W\)"),
        ("U", lambda t: t[:, :, :2], r"U\.pt has shape"),
        ("U_2d", lambda t: t + 1, "leaves its plane"),
        ("dxyz", lambda t: t[:, :2], r"dxyz\.pt has shape"),
        ("dxyz", lambda t: -t, "not positive"),
        ("permeability", lambda t: t[:1], "needed: 3"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, name: str, change, message: str) -> None:
    source = make_published(tmp_path / "given", cases="x")
    file = source / "x" / f"{name}.pt"
    torch.save(change(torch.load(file, weights_only=True)).contiguous(), file)
    with pytest.raises(InvalidInputError, match=message):
        import_published(source, tmp_path / "set.zarr", **DRIVE)


def test_pressure_drop_and_viscosity_are_asked_for_and_never_guessed(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given", cases="x")
    with pytest.raises(InvalidInputError, match="--pressure-drop in Pa"):
        import_published(source, tmp_path / "set.zarr", viscosity=0.1)
    with pytest.raises(InvalidInputError, match="--viscosity in Pa s"):
        import_published(source, tmp_path / "set.zarr", pressure_drop=1e5)
    assert not (tmp_path / "set.zarr").exists()


def test_another_conversion_never_goes_on_in_a_finished_store(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given", cases="x")
    import_published(source, tmp_path / "set.zarr", **DRIVE)
    with pytest.raises(InvalidInputError, match=r"another data set \(different: viscosity"):
        import_published(source, tmp_path / "set.zarr", pressure_drop=1e5, viscosity=0.2)


def test_opening_the_published_layout_as_a_store_says_how_to_convert_it(tmp_path: Path) -> None:
    source = make_published(tmp_path / "given", cases="x")
    with pytest.raises(InvalidInputError, match="resinflow data convert"):
        FlowStore.open(source)


def test_every_array_of_a_store_with_grid_flows_comes_back(tmp_path: Path) -> None:
    recipe = DataRecipe.model_validate({**TINY_RECIPE, "samples": 4, "refinement": (1, 2, 2), "wall_rule": "surface"})
    store = generate(recipe, tmp_path / "first.zarr", workers=1)
    assert set(store.fields) == {*FIELDS, *GRID_FIELDS}
    again = import_published(export_published(store, tmp_path / "published"), tmp_path / "second.zarr")
    assert again.fields == store.fields
    for name in store.fields:
        assert again.layout_of(name) == store.layout_of(name), name
        np.testing.assert_array_equal(again.read(name), store.read(name), err_msg=name)
    assert contents(again.path) == contents(store.path)
    base = PublishedFlows(tmp_path / "published").sample(0).base("grid")
    np.testing.assert_array_equal(base.velocity, store.sample(0).base("grid").velocity)
