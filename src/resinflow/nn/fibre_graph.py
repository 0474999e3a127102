"""A network over the fibres of a bundle: each sees its nearest neighbours, and all see what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["EDGE_CHANNELS", "FACTS", "FibreGraph", "SlopeNetwork", "joined"]

EDGE_CHANNELS = ("way_x", "way_y", "distance", "gap", "nearness", "radius")
"""Of a neighbour as a fibre sees it: the way to its centre, its distance and gap, exp(-gap / 0.1), and its radius."""
FACTS = ("misalignment", "minimum_gap", "above", "below")
"""Of a whole bundle."""


class FibreGraph(NamedTuple):
    """The fibres of one bundle or of several, by their sections in one plane.

    Attributes:
        radii: (n, 1), of every fibre.
        neighbours: (n, k), the fibres that each sees.
        edges: (n, k, 6), what it sees of them (:data:`EDGE_CHANNELS`).
        owner: (n,), the bundle of every fibre.
        facts: (B, 4), of every bundle (:data:`FACTS`).
    """

    radii: Tensor
    neighbours: Tensor
    edges: Tensor
    owner: Tensor
    facts: Tensor


def joined(graphs: Sequence[FibreGraph]) -> FibreGraph:
    """Return the graph of several bundles, side by side."""
    counts = [len(graph.radii) for graph in graphs]
    bundles = [len(graph.facts) for graph in graphs]
    fibres_before = [sum(counts[:place]) for place in range(len(graphs))]
    bundles_before = [sum(bundles[:place]) for place in range(len(graphs))]
    return FibreGraph(
        torch.cat([graph.radii for graph in graphs]),
        torch.cat([graph.neighbours + before for graph, before in zip(graphs, fibres_before, strict=True)]),
        torch.cat([graph.edges for graph in graphs]),
        torch.cat([graph.owner + before for graph, before in zip(graphs, bundles_before, strict=True)]),
        torch.cat([graph.facts for graph in graphs]),
    )


class SlopeNetwork(nn.Module):
    """Reads noisy slopes of the fibres of bundles, and tells how they move along the path of a diffusion.

    Args:
        width: channels inside.
        rounds: times that fibres hear of their neighbours.
    """

    def __init__(self, width: int, rounds: int) -> None:
        super().__init__()
        self.whole = _two_layers(len(FACTS) + 2 + 1, width, width)
        self.single = nn.Linear(1 + 2, width)
        self.pair = _two_layers(len(EDGE_CHANNELS) + 2, width, width)
        self.rounds = nn.ModuleList([_Round(width) for _ in range(rounds)])
        self.own = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, 2))
        self.scatter = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, graph: FibreGraph, own: Tensor, scatter: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the derivatives of the fibres' slopes (n, 2) and of the scatter of bundles (B, 1) with respect to the level.

        Args:
            graph: of B bundles with n fibres in all.
            own: (n, 2), what the fibres' slopes have beside those of their bundle, over the scatter of the bundle.
            scatter: (B, 1), of the bundles, as a number about zero.
            level: (B,), 1 for noise, 0 for slopes without any.
        """
        whole = self.whole(torch.cat([graph.facts, level[:, None], level[:, None] ** 2, scatter], dim=1))
        single = self.single(torch.cat([graph.radii, own], dim=1)) + whole[graph.owner]
        pair = self.pair(torch.cat([graph.edges, own[graph.neighbours] - own[:, None]], dim=2))
        counts = torch.bincount(graph.owner, minlength=len(whole))[:, None]
        for each in self.rounds:
            single, whole = each(graph, single, whole, pair, counts)
        return self.own(single), self.scatter(whole)


class _Round(nn.Module):
    """One exchange between fibres, their neighbours and the bundle."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.from_self, self.from_other, self.from_pair, self.message, self.from_whole = (
            nn.Linear(width, width) for _ in range(5)
        )
        self.update, self.update_whole = _two_layers(2 * width, width, width), _two_layers(2 * width, width, width)

    def forward(self, graph: FibreGraph, single: Tensor, whole: Tensor, pair: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return what fibres (n, width) and bundles (B, width) know after it."""
        normed = self.norm(single)
        heard = self.from_self(normed)[:, None] + self.from_other(normed)[graph.neighbours] + self.from_pair(pair)
        message = self.message(nn.functional.silu(heard)).mean(dim=1)
        single = single + self.update(torch.cat([normed, message], dim=1)) + self.from_whole(whole)[graph.owner]
        mean = torch.zeros_like(whole).index_add(0, graph.owner, normed) / counts
        return single, whole + self.update_whole(torch.cat([whole, mean], dim=1))


def _two_layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))
