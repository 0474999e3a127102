"""The one stage of the preset tilts, and the bundles that it learns from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.flow import InvalidInputError
from resinflow.media import BundleSettings, Fibres, packed_fibres
from resinflow.nn import FibreGraph, SlopeNetwork, joined
from resinflow.presets.tilts.graphs import Plane, graph_of, parted
from resinflow.presets.tilts.model import PATH
from resinflow.presets.tilts.recipe import TiltOptions, TiltRecipe
from resinflow.train.data import Place
from resinflow.train.seeds import Stream, derive_seed
from resinflow.train.stage import Part, Stage

TiltBatch = tuple[Tensor, Tensor, FibreGraph]
"""The scatter of bundles (B, 1), what the slopes of their fibres have beside those of the bundle, (n, 2), and the graph."""
_DIAMETER = 1e-5
_FEWEST = 4
"""Fibres of a bundle that is shown."""
_ATTEMPTS = 100
_MIDDLE_SHARE = 0.3
"""Share of the planes that lie in the middle of the box."""
_LOWER = 0.4
_REMEMBERED = 4096


class Bundle(NamedTuple):
    """A packed bundle: its fibres, the period of their cell (m), and its settings."""

    fibres: Fibres
    period: float
    settings: BundleSettings


class DrawnBundles:
    """Random bundles as the network sees them, by epoch and position.

    Args:
        recipe: of the run.
        part: training bundles are others in every epoch; the positions of an epoch show each from several sides.
    """

    def __init__(self, recipe: TiltRecipe, part: Part) -> None:
        self._options, self._neighbours = recipe.tilts, recipe.model.neighbours
        self._part: Part = part
        self._seed = recipe.seed_of(recipe.stages[0])
        self._recent: OrderedDict[tuple[int, int], Bundle] = OrderedDict()

    def __len__(self) -> int:
        return self._options.bundles if self._part == "train" else self._options.validation

    def __getitem__(self, place: Place) -> TiltBatch:
        epoch, position = place
        stream = Stream.AUGMENTATION if self._part == "train" else Stream.NOISE
        bundle = self._bundle(stream, epoch, position // self._options.visits)
        rng = np.random.default_rng([derive_seed(stream, self._seed, epoch, position), 1])
        return shown_bundle(bundle, self._neighbours, rng)

    def _bundle(self, stream: Stream, epoch: int, number: int) -> Bundle:
        key = epoch, number
        if key not in self._recent:
            rng = np.random.default_rng(derive_seed(stream, self._seed, epoch, number))
            self._recent[key] = random_bundle(self._options, rng)
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return self._recent[key]


def random_bundle(options: TiltOptions, rng: np.random.Generator) -> Bundle:
    """Return a random bundle.

    Raises:
        InvalidInputError: settings with which none can be packed.
    """
    for _ in range(_ATTEMPTS):
        low, high = options.misalignment
        high = high if rng.random() < 0.5 else low + _LOWER * (high - low)
        depth, gap = (float(np.exp(rng.uniform(*np.log(span)))) for span in (options.depth, options.minimum_gap))
        settings = BundleSettings(
            volume_fraction=float(rng.uniform(*options.volume_fraction)),
            diameter=_DIAMETER,
            diameter_scatter=float(rng.uniform(*options.diameter_scatter)),
            misalignment=float(rng.uniform(low, high)),
            minimum_gap=gap * _DIAMETER,
        )
        edge = float(rng.uniform(*options.edge)) * _DIAMETER
        try:
            packed = packed_fibres((depth * _DIAMETER, edge, edge), settings, rng)
        except InvalidInputError:  # too dense for its gaps
            continue
        if packed is not None and len(packed[0]) >= _FEWEST:
            return Bundle(*packed, settings)
    raise InvalidInputError(
        f"no bundle was found in {_ATTEMPTS} draws; needed: a lower volume_fraction or minimum_gap in the recipe."
    )


def shown_bundle(bundle: Bundle, neighbours: int, rng: np.random.Generator) -> TiltBatch:
    """Return one bundle as the network sees it: in a random plane across it, turned, and half of them mirrored."""
    fibres, period, settings = bundle
    unit = 2 * float(fibres.radius.mean())
    depth, limit = fibres.extent[0] / unit, float(np.tan(np.radians(settings.misalignment)))
    part = 0.5 if rng.random() < _MIDDLE_SHARE else float(rng.uniform())
    places = fibres.bottom / unit + part * depth * fibres.slopes
    gap, above, below = settings.minimum_gap / unit, (1 - part) * depth, part * depth
    graph = graph_of(Plane(places, fibres.radius / unit, limit, gap, above, below, period / unit), neighbours)
    turn = _turn(rng)
    slopes = fibres.slopes @ turn.T
    ways = graph.edges[..., :2] @ torch.as_tensor(turn.T, dtype=torch.float32)
    graph = graph._replace(edges=torch.cat([ways, graph.edges[..., 2:]], dim=2))
    if rng.random() < 0.5:  # upside down
        slopes = -slopes
        graph = graph._replace(facts=graph.facts[:, [0, 1, 3, 2]])
    scatter, own = parted(slopes - slopes.mean(axis=0), limit)
    return torch.tensor([[scatter]]), torch.as_tensor(own, dtype=torch.float32), graph


def gathered(bundles: Sequence[TiltBatch]) -> TiltBatch:
    """Return the batch of several bundles."""
    scatter, own, graphs = zip(*bundles, strict=True)
    return torch.cat(scatter), torch.cat(own), joined(graphs)


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random rotation in the plane, after a mirror in half of the cases."""
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    return np.array([[cosine, -mirror * sine], [sine, mirror * cosine]])


class TiltStage(Stage[SlopeNetwork, TiltOptions, TiltBatch]):
    """The network learns the way from noise to what the slopes of fibres have beside those of their bundle."""

    def __init__(self, networks: SlopeNetwork, options: TiltOptions) -> None:
        super().__init__(networks, [networks], options)

    def losses(self, batch: TiltBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the matching losses of the fibres and of the scatter."""
        scatter, own, graph = batch
        level = torch.rand(len(scatter), device=own.device)
        bundles = PATH.draw(torch.zeros_like(scatter), scatter, level=level)
        fibres = PATH.draw(torch.zeros_like(own), own, level=level[graph.owner])
        of_fibres, of_bundles = self.networks(graph, fibres.latent, bundles.latent, level)
        terms = {"own": (of_fibres - fibres.goal).square().mean(), "scatter": (of_bundles - bundles.goal).square().mean()}
        return {"loss": terms["own"] + self.options.scatter_weight * terms["scatter"], **terms}

    def configure_optimizers(self) -> Any:
        """Return AdamW with one cycle of the learning rate over the whole stage."""
        return self.adamw()
