"""Networks that draw the volume about one section: a dual-branch VAE whose latent is planar, and its denoiser.

What a section does not tell of fibres that run through it is where they go: a field over the section, not over the volume. The
latent is that field, so that volumes have any depth, and slices of a volume belong together. Its first channels are one number
each for the whole section; two of them are the common slopes of a bundle along x and y, and two of the others are what the
slopes at a place have beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from resinflow.nn.blocks import FOLD, Trunk, unfold
from resinflow.nn.vae import Posterior

__all__ = ["SECTION_CHANNELS", "VOLUME_CHANNELS", "Question", "VolumeNetworks", "with_common"]

SECTION_CHANNELS = ("distance", "planar_vx", "planar_vy", "planar_pressure")
"""Of the known section: distance in pixels, velocity and deviation of the pressure in the units of the networks."""
VOLUME_CHANNELS = ("distance", "vx", "vy", "vz", "pressure")
_SEEN = 2 + len(SECTION_CHANNELS) - 1
"""Channels of a section as networks see it: the distance in two ranges, and the planar flow."""
_EMBEDDING = 64
_WALL, _FAR = 2.0, 6.0
"""Pixels over which the two ranges of the distance saturate."""
_NEAR = 4.0
"""Pixels from the known section over which the rest of the distance is let in: there, the section is what is known."""
_HEIGHT = 16.0
"""Pixels: the unit of heights."""
_COMMON_SLOPE, _OWN_SLOPE = 0.1, 0.05
"""Units of the channels that are slopes."""
_PLACE = 24
"""Pixels a side over which the slopes at a place are measured."""
_LOG_VARIANCE = -4.0
"""Of the latent before training."""
_LARGEST_GAIN = 5.0
"""Logarithm of by how much a volume may be quicker than its section."""
_LOG_VARIANCES = (-10.0, 10.0)


class Question(NamedTuple):
    """What is asked about a section: where the slices of the volume are, and what is known of its fibres.

    Attributes:
        heights: (B, D), pixels from the section along z to every slice.
        misalignment: (B,), tangent of the largest tilt; what it is where ``known`` is 0 does not count.
        known: (B,), 1 where the misalignment is known, else 0.
    """

    heights: Tensor
    misalignment: Tensor
    known: Tensor


def with_common(latent: Tensor, common: int) -> Tensor:
    """Return a latent (B, C, ...) whose first ``common`` channels are their means over the section."""
    if not common:
        return latent
    first = latent[:, :common].mean(dim=(2, 3, 4), keepdim=True).expand_as(latent[:, :common])
    return torch.cat([first, latent[:, common:]], dim=1)


class VolumeNetworks(nn.Module):
    """The dual-branch VAE and the denoiser of its latent.

    ``encoder_3d`` maps a volume and a section of it to the latent, ``decoder_3d`` latent and section to the slices of any
    heights: it carries the section along the slopes that it reads in the latent, and adds what that leaves, none of it to the
    distance at the section itself. ``encoder_2d`` expects a latent from the section and what is asked; the denoiser draws it.

    Args:
        latent_channels: channels of the latent (B, C, 1, H / 4, W / 4).
        common_channels: how many of them are one number for the whole section; two at least, and two less than all at most.
        width: channels inside.
        blocks: residual blocks of (encoder_3d, carrier, decoder_3d, encoder_2d, denoiser).
    """

    latent_scale: Tensor

    def __init__(self, latent_channels: int, common_channels: int, width: int, blocks: tuple[int, int, int, int, int]) -> None:
        super().__init__()
        area, extra = FOLD * FOLD, 2
        encoder, carrier, decoder, planar, denoiser = blocks
        self.latent_channels, self.common = latent_channels, common_channels
        seen, volume = _SEEN * area, (_SEEN + 1) * area
        self.encoder_3d = Trunk(extra + volume + seen, width, encoder, 2 * latent_channels)
        self.carrier = Trunk(latent_channels + extra + seen, width, carrier, 2 * area, couple_slices=False)
        inputs = latent_channels + extra + seen + 2 * area
        self.decoder_3d = Trunk(inputs, width, decoder, (len(VOLUME_CHANNELS) + 1) * area)
        for trunk in (self.encoder_3d, self.carrier, self.decoder_3d):  # at first the section goes where the slopes say
            nn.init.zeros_(trunk.conv_out.weight)
        if self.encoder_3d.conv_out.bias is not None:
            nn.init.constant_(self.encoder_3d.conv_out.bias[latent_channels:], _LOG_VARIANCE)
        self.ask = nn.Sequential(nn.Linear(5, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU())
        self.encoder_2d = Trunk(seen, width, planar, latent_channels, embedding=_EMBEDDING, couple_slices=False)
        self.ask_level = nn.Sequential(nn.Linear(7, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU())
        self.denoiser = Trunk(
            2 * latent_channels + seen, width, denoiser, latent_channels, embedding=_EMBEDDING, couple_slices=False
        )
        self.register_buffer("latent_scale", torch.ones(latent_channels))

    def encode_3d(self, volume: Tensor, section: Tensor, question: Question) -> Posterior:
        """Return the posterior of the latent for a volume (B, 5, D, H, W) about a section (B, 4, 1, H, W)."""
        depth = volume.shape[2]
        fields = torch.cat([_seen(volume), _seen(section).expand(-1, -1, depth, -1, -1)], dim=1)
        mean, log_variance = (
            self.encoder_3d(_places(question, fields), fields).float().mean(dim=2, keepdim=True).chunk(2, dim=1)
        )
        slopes = measured_slopes(volume[:, :1], question.heights)
        common = slopes.mean(dim=(2, 3, 4), keepdim=True)
        measured = torch.zeros_like(mean)
        measured[:, :2] = common / _COMMON_SLOPE
        measured[:, self.common : self.common + 2] = (slopes - common) / _OWN_SLOPE
        log_variance = log_variance.clamp(*_LOG_VARIANCES)
        return Posterior(with_common(measured + mean, self.common), with_common(log_variance, self.common))

    def decode_3d(self, latent: Tensor, section: Tensor, question: Question) -> Tensor:
        """Return the volume (B, 5, D, H, W) of a latent about a section, at the heights of the question."""
        heights = question.heights
        depth = heights.shape[1]
        seen = _seen(section).expand(-1, -1, depth, -1, -1)
        state = torch.cat([latent.to(seen.dtype).expand(-1, -1, depth, -1, -1), _places(question, seen)], dim=1)
        at_places = _COMMON_SLOPE * latent[:, :2] + _OWN_SLOPE * latent[:, self.common : self.common + 2]
        at_pixels = nn.functional.interpolate(
            at_places.float(), (1, *section.shape[-2:]), mode="trilinear", align_corners=False
        )
        slopes = at_pixels + _COMMON_SLOPE * unfold(self.carrier(state, seen)).float()
        carried = _carried(section, slopes * heights[:, None, :, None, None])
        rest = unfold(self.decoder_3d(state, torch.cat([_seen(carried), slopes], dim=1))).float()
        near = 1 - torch.exp(-heights.abs() / _NEAR)
        distance = carried[:, :1] + _WALL * near[:, None, :, None, None] * rest[:, :1]
        gain = rest[:, 5:].mean(dim=(2, 3, 4), keepdim=True).clamp(-_LARGEST_GAIN, _LARGEST_GAIN).exp()
        planar, none = carried[:, 1:3], torch.zeros_like(distance)
        velocity = gain * (torch.cat([planar, none], dim=1) + rest[:, 1:4])
        return torch.cat([distance, velocity, carried[:, 3:] + rest[:, 4:5]], dim=1)

    def encode_2d(self, section: Tensor, question: Question) -> Tensor:
        """Return the latent that is expected of a section, (B, C, 1, H / 4, W / 4), in units of its deviation."""
        return with_common(self.encoder_2d(fields=_seen(section), embedding=self.ask(_facts(question))).float(), self.common)

    def denoise(self, noisy: Tensor, start: Tensor, section: Tensor, question: Question, level: Tensor) -> Tensor:
        """Return a field like ``noisy``; ``level`` (B,) runs from 0 (clean) to 1."""
        facts = torch.cat([_facts(question), level[:, None], level[:, None] ** 2], dim=1)
        latents = torch.cat([noisy, start], dim=1)
        return with_common(self.denoiser(latents, _seen(section), self.ask_level(facts)).float(), self.common)

    def noise(self, normal: Tensor) -> Tensor:
        """Return standard normal noise (B, C, 1, h, w) whose common channels are one number each: that of their first place."""
        first = normal[:, : self.common, :, :1, :1].expand_as(normal[:, : self.common])
        return torch.cat([first, normal[:, self.common :]], dim=1)

    def common_slopes(self, slopes: Tensor) -> Tensor:
        """Return the channels (B, 2, 1, 1, 1) of a latent, in units of its deviation, of bundles with slopes (B, 2)."""
        return (slopes / _COMMON_SLOPE / self.latent_scale[:2])[:, :, None, None, None]

    def scaled(self, latent: Tensor) -> Tensor:
        """Return latents in units of their standard deviation."""
        return latent / self.latent_scale.view(1, -1, 1, 1, 1)

    def unscaled(self, latent: Tensor) -> Tensor:
        """Undo :meth:`scaled`."""
        return latent * self.latent_scale.view(1, -1, 1, 1, 1)


def measured_slopes(distance: Tensor, heights: Tensor) -> Tensor:
    """Return the slopes dx/dz and dy/dz of fibres about a section, (B, 2, 1, H / 4, W / 4), from the distance to surfaces.

    What moves along z keeps its distance: d_z + s . grad d = 0, which least squares solve for s about every place (Lucas and
    Kanade, Proc. 7th Int. Joint Conf. on Artificial Intelligence, 674-679, 1981).

    Args:
        distance: (B, 1, D, H, W), pixels.
        heights: (B, D), pixels, in equal steps.
    """
    depth = distance.shape[2]
    if depth < 2:
        return distance.new_zeros(len(distance), 2, 1, distance.shape[3] // FOLD, distance.shape[4] // FOLD)
    d = distance[:, 0].float()
    step = (heights[:, 1] - heights[:, 0])[:, None, None, None]
    along = torch.gradient(d, dim=1)[0] / step
    down, across = torch.gradient(d, dim=(2, 3))
    near = torch.exp(-heights.abs() / _HEIGHT)[:, :, None, None] * torch.exp(-(d.abs() - _WALL).clamp_min(0))
    products = [across * across, across * down, down * down, across * along, down * along]
    sums = torch.stack([(near * product).sum(dim=1) for product in products], dim=1)
    sums = nn.functional.avg_pool2d(sums, _PLACE, stride=FOLD, padding=(_PLACE - FOLD) // 2, count_include_pad=False)
    xx, xy, yy, xz, yz = sums.unbind(dim=1)
    least = 0.02 * (xx + yy).mean(dim=(1, 2), keepdim=True) + 1e-4
    xx, yy = xx + least, yy + least
    determinant = xx * yy - xy * xy
    slopes = torch.stack([(xy * yz - yy * xz) / determinant, (xy * xz - xx * yz) / determinant], dim=1)
    return slopes.clamp(-1, 1)[:, :, None]


def _seen(fields: Tensor) -> Tensor:
    """Fields (B, C, D, H, W), the distance first, as networks see them: (B, C + 1, D, H, W)."""
    distance = fields[:, :1]
    return torch.cat([distance.clamp(-_WALL, _WALL) / _WALL, torch.tanh(distance / _FAR), fields[:, 1:]], dim=1)


def _places(question: Question, like: Tensor) -> Tensor:
    """The heights of the slices, and the distance between them, on the grid of the latent: (B, 2, D, h, w)."""
    heights = question.heights.to(like.dtype) / _HEIGHT
    step = heights.diff(dim=1).abs().mean(dim=1, keepdim=True) if heights.shape[1] > 1 else torch.zeros_like(heights)
    both = torch.stack([heights, step.expand_as(heights)], dim=1)
    _, _, _, height, width = like.shape
    return both[..., None, None].expand(-1, -1, -1, height // FOLD, width // FOLD)


def _facts(question: Question) -> Tensor:
    """What is asked, as numbers (B, 5)."""
    heights = question.heights / _HEIGHT
    step = (question.heights[:, -1] - question.heights[:, 0]).abs() / max(question.heights.shape[1] - 1, 1) / _HEIGHT
    known = question.known
    return torch.stack([heights.amin(dim=1), heights.amax(dim=1), step, 4 * question.misalignment * known, known], dim=1)


def _carried(section: Tensor, shift: Tensor) -> Tensor:
    """The section (B, C, 1, H, W) carried to every slice: what lies at x there lies at x - shift here. (B, C, D, H, W)."""
    batch, channels, _, height, width = section.shape
    depth = shift.shape[2]
    y, x = (torch.arange(count, device=shift.device, dtype=shift.dtype) for count in (height, width))
    places = torch.stack(
        [
            (2 * (x[None, None, None] - shift[:, 0]) + 1) / width - 1,
            (2 * (y[None, None, :, None] - shift[:, 1]) + 1) / height - 1,
        ],
        dim=-1,
    )
    pages = section.float().expand(-1, -1, depth, -1, -1).transpose(1, 2).reshape(batch * depth, channels, height, width)
    found = nn.functional.grid_sample(
        pages, places.reshape(batch * depth, height, width, 2).float(), padding_mode="border", align_corners=False
    )
    return found.reshape(batch, depth, channels, height, width).transpose(1, 2)
