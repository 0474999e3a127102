"""Media drawn round one slice: they go through it, look like bundles, and spread as far as it leaves them open."""

from __future__ import annotations

import numpy as np
import pytest

import resinflow as rf
from resinflow.flow import InvalidInputError, Microstructure, surface_source
from resinflow.media import BundleSettings, PriorEngine, fibre_bundle, measure_bundle, view_slices
from resinflow.media.section_fields import sections_of
from resinflow.media.tilts import part_slopes
from resinflow.media.tracks import follow

DEPTH = 50e-6


def bundle(seed: int = 1, *, fraction: float = 0.5, misalignment: float = 10.0, shape=(11, 64, 64), waviness: float = 0.0):
    """A bundle 50 um wide and deep."""
    settings = BundleSettings(volume_fraction=fraction, misalignment=misalignment, waviness=waviness)
    return fibre_bundle(shape, (DEPTH, DEPTH, DEPTH), seed=seed, settings=settings)


def ellipses(*places: tuple[float, float], size: int = 64, half=(5.0, 8.0)) -> Microstructure:
    """A slice with upright ellipses about the places (x, y) in pixels of 1 um, from its mask alone."""
    y, x = np.mgrid[:size, :size] + 0.5
    fibre = np.zeros((size, size), dtype=bool)
    for across, down in places:
        fibre |= ((x - across) / half[0]) ** 2 + ((y - down) / half[1]) ** 2 < 1
    return Microstructure(~fibre[None], (1e-6, 1e-6, 1e-6))


@pytest.mark.parametrize(("seed", "fraction", "misalignment"), [(1, 0.3, 3.0), (2, 0.5, 10.0), (3, 0.65, 15.0), (4, 0.6, None)])
def test_a_drawn_medium_is_the_given_slice_at_its_height_voxel_by_voxel(seed, fraction, misalignment):
    micro = bundle(seed, fraction=fraction)
    for place in (0, 5, 10):
        height = (place + 0.5) * DEPTH / 11
        page = micro.slice_at(place)
        for medium in rf.draw_media(page, depth=DEPTH, misalignment=misalignment, samples=2, seed=seed, heights=[height]):
            assert (medium.fluid[place] == page.fluid[0]).all()
            assert medium.signed_distance is not None
            assert ((medium.signed_distance > 0) == medium.fluid).all()


def test_a_slice_of_a_mask_alone_is_met_too_and_the_surfaces_of_its_media_count_as_estimated():
    page = Microstructure(bundle(5).slice_at(5).fluid, (1e-6, 0.8e-6, 1.1e-6))
    medium = rf.draw_media(page, depth=30e-6, samples=1, slices=7)[0]
    assert medium.shape == (7, 64, 64)
    assert medium.spacing == pytest.approx((30e-6 / 7, 0.8e-6, 1.1e-6))
    assert (medium.fluid[3] == page.fluid[0]).all()
    assert surface_source(medium) == "estimated"


def test_a_draw_depends_on_its_seed_and_number_alone():
    page = bundle(2).slice_at(5)
    few, many = (rf.draw_media(page, depth=DEPTH, misalignment=8, samples=count, seed=3) for count in (2, 4))
    assert [medium.fingerprint for medium in few] == [medium.fingerprint for medium in many[:2]]
    assert len({medium.fingerprint for medium in many}) == 4


@pytest.mark.parametrize("fraction", [0.35, 0.5, 0.62])
def test_the_fibre_fraction_drops_neither_off_the_slice_nor_at_the_sides(fraction):
    off, rims = [], []
    for seed in range(6):
        page = bundle(10 + seed, fraction=fraction, misalignment=12).slice_at(5)
        media = rf.draw_media(page, depth=DEPTH, misalignment=12, samples=6, seed=seed)
        fibres = np.array([~medium.fluid for medium in media], dtype=float)
        off.append(fibres[:, [0, -1]].mean() - (~page.fluid).mean())
        rim = np.ones((64, 64), dtype=bool)
        rim[8:-8, 8:-8] = False
        rims.append(fibres[:, [0, -1]][..., rim].mean() - fibres[:, [0, -1]][..., ~rim].mean())
    truth_rims = []
    for seed in range(6):
        solid = ~bundle(10 + seed, fraction=fraction, misalignment=12).fluid[[0, -1]]
        truth_rims.append(solid[:, rim].mean() - solid[:, ~rim].mean())
    assert abs(np.mean(off)) < 0.02
    assert abs(np.mean(rims) - np.mean(truth_rims)) < 0.08


def test_a_section_that_is_not_round_keeps_its_outline_along_the_fibre():
    page = ellipses((32.0, 32.0))
    medium = rf.draw_media(page, depth=40e-6, misalignment=10, samples=1, seed=2)[0]
    area = (~page.fluid).sum()
    for layer in medium.fluid:
        y, x = np.nonzero(~layer[16:48, 16:48])
        assert len(y) == pytest.approx(area, rel=0.06)
        assert np.ptp(y) - np.ptp(x) == pytest.approx(6, abs=1.5)
    centre = [np.argwhere(~layer[16:48, 16:48]).mean(axis=0) for layer in medium.fluid]
    assert np.abs(centre[0] - centre[-1]).max() > 0.5


def test_without_misalignment_the_media_are_the_extruded_slice():
    page = bundle(3, misalignment=0).slice_at(5)
    medium = rf.draw_media(page, depth=DEPTH, misalignment=0, samples=1)[0]
    assert (medium.fluid == page.fluid).all()


def test_slopes_that_would_make_fibres_meet_are_turned_until_none_does():
    page = bundle(4, fraction=0.62).slice_at(5)
    sections = sections_of(page)
    centres = np.array([section.centre for section in sections])
    support = np.array([np.full(48, section.radius) for section in sections])
    wild = np.random.default_rng(1).normal(0, 0.1, (len(sections), 2))
    heights = np.linspace(-25e-6, 25e-6, 11)
    slopes = part_slopes(centres, support, wild, heights, 0.0)
    radii = support[:, 0]

    def least_gap(slopes):
        places = centres[None] + heights[:, None, None] * slopes[None]
        apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1) - radii[:, None] - radii
        apart[:, np.arange(len(radii)), np.arange(len(radii))] = np.inf
        return apart.min() / radii.mean()

    assert least_gap(wild) < -0.3
    assert least_gap(slopes) > min(least_gap(0 * slopes), 0.0) - 0.01


@pytest.mark.parametrize(("fraction", "least"), [(0.6, 0.6), (0.69, 0.25)])
def test_fibres_whose_sections_touch_all_over_a_dense_slice_still_scatter_and_none_runs_into_another(fraction, least):
    settings = BundleSettings(volume_fraction=fraction, diameter=4e-6, minimum_gap=0.0)
    dense = fibre_bundle((1, 120, 120), (1e-6, 60e-6, 60e-6), seed=4, settings=settings)
    sections = sections_of(Microstructure(dense.fluid, dense.spacing))
    centres = np.array([section.centre for section in sections])
    support = np.array([section.support for section in sections])
    wanted = np.array([0.1, 0.05]) + np.random.default_rng(1).normal(0, 0.01, centres.shape)
    heights = np.linspace(-25e-6, 25e-6, 11)
    slopes = part_slopes(centres, support, wanted, heights, 0.0)
    scatter, asked = (float((each - each.mean(axis=0)).std()) for each in (slopes, wanted))
    assert least * asked < scatter < 1.1 * asked

    def gaps(slopes, height):
        places = centres + height * slopes
        away = places[None] - places[:, None]
        turn = np.arctan2(away[..., 1], away[..., 0]) * (48 / (2 * np.pi))
        below = np.floor(turn).astype(int)
        rows = np.arange(len(places))[:, None]
        reach = (1 - turn + below) * support[rows, below % 48] + (turn - below) * support[rows, (below + 1) % 48]
        gap = np.hypot(away[..., 0], away[..., 1]) - reach - reach.T
        np.fill_diagonal(gap, np.inf)
        return gap

    limits = np.minimum(gaps(slopes, 0.0), 0.0)
    turned, asked_for = (min((gaps(each, z) - limits).min() for z in heights) / support.mean() for each in (slopes, wanted))
    assert asked_for < -0.1
    assert turned > -0.01


def test_media_look_like_those_of_the_generator():
    """Tilt scatter, nearest neighbours and gaps along x: means over draws against means over bundles."""
    truths, draws = [], []
    for seed in range(8):
        micro = bundle(30 + seed, misalignment=8)
        truths.append(measure_bundle(micro))
        media = rf.draw_media(micro.slice_at(5), depth=DEPTH, misalignment=8, samples=3, seed=seed)
        draws += [measure_bundle(medium) for medium in media]
    for name, limit in (("scatter", 0.35), ("nearest", 0.06), ("chord", 0.1), ("roundness", 0.02)):
        true, drawn = (np.nanmean([getattr(shape, name) for shape in shapes]) for shapes in (truths, draws))
        assert drawn == pytest.approx(true, rel=limit), name


def test_the_spread_of_the_media_grows_with_the_misalignment():
    page = bundle(6).slice_at(5)

    def differing(misalignment):
        media = rf.draw_media(page, depth=DEPTH, misalignment=misalignment, samples=6)
        return float(np.mean([medium.fluid[0] != page.fluid[0] for medium in media]))

    assert differing(2) < differing(8) < differing(20)


@pytest.mark.parametrize("places", [(2, 8), (0, 5, 10)])
def test_several_slices_are_all_met_and_leave_far_less_open_than_one(places):
    micro = bundle(7, misalignment=12)
    one = rf.draw_media(micro.slice_at(5), depth=DEPTH, misalignment=12, samples=3)
    heights = [(place + 0.5) * DEPTH / 11 for place in places]
    several = rf.draw_media([micro.slice_at(place) for place in places], depth=DEPTH, heights=heights, samples=3)
    for medium in several:
        assert all((medium.fluid[place] == micro.fluid[place]).all() for place in places)
    wrong_by_one, wrong_by_several = (np.mean([medium.fluid != micro.fluid for medium in each]) for each in (one, several))
    assert wrong_by_several < 0.25 * wrong_by_one


def test_sections_are_matched_about_a_common_drift_longer_than_their_distance():
    micro = bundle(8, fraction=0.4, misalignment=0)
    low = sections_of(micro.slice_at(5))
    moved = Microstructure(np.roll(micro.fluid[5:6], 11, axis=2), micro.spacing)
    high = sections_of(moved)
    tracks = follow((low, high), np.array([0.0, 40e-6]), 0.3)
    assert tracks.drifts[0] == pytest.approx([11 * DEPTH / 64, 0.0], abs=0.6e-6)


def test_a_fibre_that_a_slice_does_not_show_ends_before_it():
    pages = [ellipses((20.0, 32.0), (45.0, 32.0)), ellipses((20.0, 32.0))]
    medium = rf.draw_media(pages, depth=44e-6, heights=[2e-6, 42e-6], misalignment=3, samples=1)[0]
    assert (medium.fluid[[0, 10]] == np.concatenate([page.fluid for page in pages])).all()
    there = (~medium.fluid[:, 20:44, 36:54]).sum(axis=(1, 2))
    assert there[1] > 0.5 * there[0]
    assert there[9] < 0.1 * there[0]


@pytest.mark.parametrize(
    "page",
    [
        ellipses((1.0, 1.0), (63.0, 40.0)),  # all are cut
        ellipses((32.0, 32.0), half=(40.0, 20.0)),  # one, wider than the slice
        ellipses((10.5, 10.5), (40.5, 20.5), half=(0.6, 0.6)),  # specks
        ellipses((3.0, 3.0), size=6, half=(1.6, 1.6)),
        Microstructure(np.array([[[True, False, True, True]]]), (1e-6, 1e-6, 1e-6)),
        Microstructure(np.random.default_rng(1).random((1, 40, 40)) > 0.5, (1e-6, 1e-6, 1e-6)),  # no fibres at all
    ],
)
def test_slices_of_any_kind_are_met(page):
    for medium in rf.draw_media(page, depth=30e-6, samples=2):
        assert (medium.fluid[5] == page.fluid[0]).all()
        assert medium.signed_distance is not None
        assert np.isfinite(medium.signed_distance).all()


def test_what_cannot_be_drawn_is_refused_in_a_line():
    page = bundle(9).slice_at(5)
    other = Microstructure(page.fluid[:, :32], page.spacing)
    for options, words in (
        ({"depth": -1.0}, "depth"),
        ({"depth": DEPTH, "misalignment": 50}, "0 to 30"),
        ({"depth": DEPTH, "samples": 0}, "samples"),
        ({"depth": DEPTH, "engine": "oracle"}, "needed: prior"),
        ({"depth": DEPTH, "heights": [60e-6]}, "within the depth"),
        ({"depth": DEPTH, "heights": [1e-6, 2e-6]}, "one for each"),
        ({"depth": DEPTH, "slices": 0}, "slices"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            rf.draw_media(page, **options)
    with pytest.raises(InvalidInputError, match="different grids"):
        rf.draw_media([page, other], depth=DEPTH)
    with pytest.raises(InvalidInputError, match="one place each"):
        rf.draw_media([page, page], depth=DEPTH, heights=[20e-6, 20e-6])
    with pytest.raises(InvalidInputError, match="all fluid"):
        rf.draw_media(Microstructure(np.ones((1, 8, 8), dtype=bool), page.spacing), depth=DEPTH)


def test_samples_of_the_surfaces_go_with_the_fibres():
    page = bundle(11).slice_at(5)
    waves = np.sin(np.arange(64) / 5) * np.ones((3, 1, 64, 64)) * 1e-7
    medium = rf.draw_media(
        Microstructure(page.fluid, page.spacing, page.signed_distance, {}, waves), depth=DEPTH, misalignment=15, samples=1
    )[0]
    assert medium.displacements is not None
    assert medium.displacements.shape == (3, 11, 64, 64)
    assert medium.displacements[:, 5] == pytest.approx(waves[:, 0], abs=1e-12)
    assert np.abs(medium.displacements[:, 0] - waves[:, 0]).max() > 1e-9


def test_an_engine_of_ones_own_takes_the_place_of_the_prior():
    class Extrusion:
        name = "extrusion"

        def draw(self, view, samples, seed):
            page, count = view.slices[0], view.shape[0]
            return tuple(Microstructure(np.repeat(page.fluid, count, axis=0), view.spacing) for _ in range(samples))

    page = bundle(12).slice_at(5)
    assert (rf.draw_media(page, depth=DEPTH, samples=1, engine=Extrusion())[0].fluid == page.fluid).all()


def test_the_view_holds_places_and_sizes():
    micro = bundle(13)
    view = view_slices([micro.slice_at(8), micro.slice_at(2)], DEPTH, heights=[39e-6, 11e-6], slices=11)
    assert view.places == (2, 8)
    assert (view.slices[0].fluid == micro.fluid[2:3]).all()
    assert view.extent == pytest.approx((DEPTH, DEPTH, DEPTH))
    assert PriorEngine().name == "prior"


def test_waves_carry_all_fibres_alike_and_the_slice_is_met():
    page = ellipses((30.0, 48.0), (66.0, 48.0), size=96, half=(5.0, 5.0))
    swings = []
    for medium in rf.draw_media(page, depth=100e-6, misalignment=0, waviness=12, samples=6, slices=25):
        assert (medium.fluid[12] == page.fluid[0]).all()
        ways = []
        for low, high in ((12, 48), (48, 84)):
            solid = ~medium.fluid[:, 12:84, low:high]
            columns = np.arange(low, high) + 0.5
            way = (solid.sum(axis=1) * columns).sum(axis=1) / solid.sum(axis=(1, 2))
            ways.append(way - way[12])
        assert np.abs(ways[0] - ways[1]).max() < 0.4
        steepest = np.abs(ways[0][4:] - ways[0][:-4]).max() * 1e-6 / (4 * medium.spacing[0])
        assert steepest < 1.2 * np.tan(np.radians(12))
        swings.append(np.ptp(ways[0]))
    assert max(swings) > 2


def test_without_waves_nothing_changes_and_several_slices_refuse_them():
    page = bundle(2).slice_at(5)
    plain, still = (rf.draw_media(page, depth=DEPTH, misalignment=8, samples=1, **more)[0] for more in ({}, {"waviness": 0.0}))
    assert plain.fingerprint == still.fingerprint
    with pytest.raises(InvalidInputError, match="leave out the waviness"):
        rf.draw_media([page, page], depth=DEPTH, heights=[1e-6, 4e-5], waviness=5)
    with pytest.raises(InvalidInputError, match="0 to 20"):
        rf.draw_media(page, depth=DEPTH, waviness=50)
