"""Published checkpoints become models of the preset ``paper``: everything that is legacy lives here.

Three kinds are known: the VAE after stage 1, the VAE after stage 2, and the diffusion predictor with its VAE inside.
Weights are PyTorch files (``best_model.pt``, ``vae.pt``, ``model.pt``), with ``vae_log.json`` or ``log.json`` beside them.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from resinflow.diffusion import NoiseSchedule
from resinflow.flow import InvalidInputError, ResinflowError, check_size, first_fault
from resinflow.models import check_finite
from resinflow.presets.paper.predictor import PaperPredictor, assembled
from resinflow.presets.paper.recipe import (
    NAME,
    DenoiserSizes,
    Network,
    PaperArchitecture,
    Precision,
    SamplingDefaults,
    VaeSizes,
)

__all__ = ["WEIGHT_FILES", "convert_published"]

WEIGHT_FILES = ("best_model.pt", "vae.pt", "model.pt")
"""In the order of preference: the best epoch before the last one."""

_ENCODER_LAYERS = {
    **{0: "conv_in", 1: "res1_1", 2: "res1_2", 3: "down1", 4: "res2_1", 5: "res2_2", 6: "down2"},
    **{7: "res3_1", 8: "res3_2", 9: "norm_out", 11: "conv_out"},
}
_DECODER_LAYERS = {
    **{0: "conv_in", 1: "res1_1", 2: "res1_2", 4: "conv_up1", 5: "res2_1", 6: "res2_2", 8: "conv_up2"},
    **{9: "res3_1", 10: "res3_2", 11: "norm_out", 13: "conv_out"},
}
_OLDER_NAME = re.compile(r"^((?:vae\.)?(encoder|decoder)_[23]d)\.layers\.(\d+)\.")
_ATTENTION = re.compile(r"^([0-9]{1,4})\.\.([0-9]{1,4})$")
_DEEPEST = 50
"""Levels of a log."""
_MACHINE = re.compile(r"(^|_)(path|paths|dir|directory|checkpoint|folder)$")
"""Keys of the published logs whose values name places on the machine of the training."""
_TRAINED: dict[str, tuple[Network, ...]] = {
    "VAE stage 1": ("encoder_3d", "decoder_3d"),
    "VAE stage 2": ("encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d"),
    "diffusion": ("encoder_2d", "encoder_3d", "decoder_3d", "unet"),
}
"""A predictor saves a decoder_2d that was never loaded; stage 1 saves a 2-D branch as it was initialised."""


@dataclass(frozen=True)
class _Checkpoint:
    """Weights by their present names, and the log beside them ({} where there is none)."""

    path: Path
    state: dict[str, Tensor]
    log: dict[str, Any]


def convert_published(
    path: str | Path,
    output: str | Path,
    *,
    sampler: Literal["ddim", "ddpm"] = "ddim",
    steps: int = 50,
    eta: float = 0.0,
    precision: Precision = "float32",
) -> Path:
    """Write a published checkpoint as a model directory (``model.safetensors``, ``config.json``, ``log.json``) and return it.

    Places on another machine that the published logs name are neither read nor kept.

    Args:
        path: a checkpoint, or a folder with one (``best_model.pt`` before ``vae.pt`` before ``model.pt``).
        output: the model directory.
        sampler: how the model samples by default: ``ddim`` or ``ddpm``.
        steps: its denoiser calls, for DDIM.
        eta: its fresh noise, for DDIM.
        precision: of its networks; weights stay float32 on disk.

    Raises:
        InvalidInputError: no checkpoint there, a damaged or foreign one, no normalisation factors, or a place that cannot be
            written.
    """
    try:
        sampling = SamplingDefaults(sampler=sampler, steps=steps, eta=eta, precision=precision)
    except ValidationError as error:
        raise InvalidInputError(f"{first_fault(error, 'the sampler')}.") from None
    file = _find(Path(path))
    raw = _present_names(_load(file))
    is_diffusion = any(name.startswith("model.") for name in raw)
    checkpoint = _Checkpoint(file, raw, _read_log(file.with_name("log.json" if is_diffusion else "vae_log.json")))
    try:
        architecture, state, published, stage = _diffusion(checkpoint) if is_diffusion else _vae(checkpoint)
    except ValidationError as error:
        raise InvalidInputError(f"{file}: {first_fault(error, 'its sizes')}.") from None
    architecture = architecture.model_copy(update={"trained": _TRAINED[stage], "sampling": sampling})
    log = {"converted_from": {"file": file.name, "stage": stage}, "published_log": _without_places(published)}
    return PaperPredictor(NAME, architecture, assembled(architecture, state, str(file)), log).save(output)


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise InvalidInputError(f"{path} does not exist; needed: a published checkpoint (.pt) or the folder of one.")
    for name in WEIGHT_FILES:
        if (path / name).is_file():
            return path / name
    raise InvalidInputError(f"{path} holds no checkpoint; needed: {', '.join(WEIGHT_FILES[:-1])} or {WEIGHT_FILES[-1]}.")


def _load(path: Path) -> dict[str, Tensor]:
    try:
        _check_container(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except ResinflowError:
        raise
    except Exception as error:  # damaged bytes end in whatever error the reader stumbles over
        detail = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise InvalidInputError(
            f"{path} cannot be read as PyTorch weights ({detail}); needed: a whole checkpoint of tensors alone. Copy it again."
        ) from None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InvalidInputError(
            f"{path} holds no state dict; needed: a dictionary of weights by name, as the published program saves."
        )
    for name, value in state.items():
        _check_entry(name, value, path)
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    check_finite(state, path)
    return state


def _check_container(path: Path) -> None:
    """Refuse a checkpoint that grows as it is read, or that the machine cannot hold; torch itself compresses nothing."""
    size = path.stat().st_size
    check_size(str(path), size)
    with path.open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            return
        with zipfile.ZipFile(stream) as archive:
            claim = sum(member.file_size for member in archive.infolist())
    if claim > size:
        raise InvalidInputError(
            f"{path} says that it holds {claim / 1e9:.3g} GB in {size / 1e9:.3g} GB; needed: a checkpoint of torch.save."
        )


def _check_entry(name: Any, value: Tensor, path: Path) -> None:
    """Refuse what is no array of real numbers under a name: sparse, without values, quantised, complex, repeated, empty."""
    if not isinstance(name, str):
        fault = f"a name that is a {type(name).__name__}"
    elif value.is_nested or value.layout != torch.strided:
        fault = "a tensor that is nested" if value.is_nested else f"a tensor of layout {value.layout}"
    elif value.is_meta or value.is_quantized or value.is_complex():
        fault = f"a tensor without values of type {value.dtype}" if value.is_meta else f"a tensor of {value.dtype}"
    elif value.numel() == 0 or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        fault = "an empty tensor" if value.numel() == 0 else "a tensor that repeats its values"
    else:
        return
    raise InvalidInputError(f"{path} holds {fault} ({name!r:.80}); needed: dense tensors of real numbers by their names.")


def _present_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the numbered layers of older checkpoints."""

    def renamed(match: re.Match[str]) -> str:
        layers = _ENCODER_LAYERS if match[2] == "encoder" else _DECODER_LAYERS
        return f"{match[1]}.{layers.get(int(match[3]), f'layers.{match[3]}')}."

    return {_OLDER_NAME.sub(renamed, name): value for name, value in state.items()}


def _read_log(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} cannot be read ({str(error).splitlines()[0]}); copy it again.") from None
    if not isinstance(log, dict):
        raise InvalidInputError(f"{path} holds a {type(log).__name__}; needed: a JSON object, as the published program writes.")
    level: list[Any] = [log]
    for _ in range(_DEEPEST):
        parts = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for part in parts for value in part]
    if level:
        raise InvalidInputError(f"{path} is nested more than {_DEEPEST} deep; needed: a log as the published program writes.")
    return log


def _without_places(log: Any) -> Any:
    if isinstance(log, dict):
        return {key: _without_places(value) for key, value in log.items() if not _MACHINE.search(str(key))}
    if isinstance(log, list):
        return [_without_places(value) for value in log]
    return log


def _vae(checkpoint: _Checkpoint) -> tuple[PaperArchitecture, dict[str, Tensor], dict[str, Any], str]:
    state = {f"vae.{name}": value for name, value in checkpoint.state.items()}
    sizes = _vae_sizes(state, checkpoint.path)
    factors = checkpoint.log.get("norm_factors")
    log_file = checkpoint.path.with_name("vae_log.json")
    if factors is None:
        raise InvalidInputError(
            f"{log_file} is missing or names no norm_factors; needed: the log that training wrote beside the weights."
        )
    state["norm_factors"] = _factors(factors, sizes.channels, log_file)
    second = "lambda_cross" in checkpoint.log or "stage1_checkpoint" in checkpoint.log
    return PaperArchitecture(vae=sizes, unet=None), state, checkpoint.log, "VAE stage 2" if second else "VAE stage 1"


def _diffusion(checkpoint: _Checkpoint) -> tuple[PaperArchitecture, dict[str, Tensor], dict[str, Any], str]:
    state = {name: value for name, value in checkpoint.state.items() if name.startswith(("model.", "vae."))}
    rest = {name: value for name, value in checkpoint.state.items() if name not in state}
    sizes = _vae_sizes(state, checkpoint.path)
    try:
        factors = rest.pop("normalizer.output.scale_factors")
        feature_scale = float(rest.pop("normalizer.input.scale_factors").reshape(-1)[0])
        distance = bool(rest.pop("distance_transform").reshape(-1)[0] > 0.5)
        timesteps = rest["scheduler.betas"].numel()
    except KeyError as error:
        raise InvalidInputError(
            f"{checkpoint.path} lacks {error.args[0]}; needed: the state of a whole published predictor."
        ) from None
    _check_schedule({name.removeprefix("scheduler."): value for name, value in rest.items()}, timesteps, checkpoint.path)
    state["norm_factors"] = _factors(factors.tolist(), sizes.channels, checkpoint.path)
    architecture = PaperArchitecture(
        vae=sizes,
        unet=_unet_sizes(state, checkpoint),
        timesteps=timesteps,
        distance_transform=distance,
        feature_scale=feature_scale,
    )
    return architecture, state, checkpoint.log, "diffusion"


def _factors(values: Any, channels: int, source: Path) -> Tensor:
    try:
        factors = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        factors = []
    single = torch.tensor(factors, dtype=torch.float64).float()
    if len(factors) != channels or not (single.isfinite() & (single > 0)).all():
        raise InvalidInputError(
            f"the normalisation factors in {source} are {values!s:.80}; needed: {channels} positive numbers."
        )
    return single


def _check_schedule(buffers: dict[str, Tensor], timesteps: int, path: Path) -> None:
    """The schedule is computed, not stored; a checkpoint with another one would give other flows."""
    linear = NoiseSchedule.linear(timesteps)
    for name, values in buffers.items():
        expected = getattr(linear, name, None)
        is_one = isinstance(expected, Tensor) and values.shape == expected.shape
        if expected is None or not is_one or not torch.allclose(values.float(), expected, rtol=1e-4, atol=1e-7):
            raise InvalidInputError(
                f"{path} holds {name}, which differs from the published linear schedule of {timesteps} steps; needed: that one."
            )


def _weight(state: dict[str, Tensor], name: str, axes: int, path: Path) -> Tensor:
    """Return a weight whose shape tells sizes.

    Raises:
        KeyError: there is none.
        InvalidInputError: one of another number of axes.
    """
    if state[name].ndim != axes:
        raise InvalidInputError(f"{path} does not fit: {name} has {state[name].ndim} axes; needed: {axes}.")
    return state[name]


def _vae_sizes(state: dict[str, Tensor], path: Path) -> VaeSizes:
    try:
        inputs = _weight(state, "vae.encoder_3d.conv_in.weight", 5, path)
        widths = [
            _weight(state, f"vae.encoder_3d.{name}.conv1.weight", 5, path).shape[0] for name in ("res1_1", "res2_1", "res3_1")
        ]
        latent = _weight(state, "vae.decoder_3d.conv_in.weight", 5, path).shape[1]
    except KeyError as error:
        some = ", ".join(sorted(state)[:2]).replace("vae.", "")
        raise InvalidInputError(
            f"{path} is no checkpoint of the published VAE or diffusion model: it lacks {error.args[0]} and holds {some}, ..."
        ) from None
    return VaeSizes(channels=inputs.shape[1], widths=(widths[0], widths[1], widths[2]), latent_channels=latent)


def _unet_sizes(state: dict[str, Tensor], checkpoint: _Checkpoint) -> DenoiserSizes:
    """Sizes as the weights have them; what weights do not tell (heads, padding) from the log or the published defaults."""
    kwargs = checkpoint.log
    for key in ("params", "training", "predictor", "model_kwargs"):
        kwargs = kwargs.get(key) if isinstance(kwargs, dict) else None
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    depth = sum(bool(re.fullmatch(r"model\.encoder\.\d+\.0\.block1\.conv\.weight", name)) for name in state)
    levels = [level for level in range(depth) if f"model.encoder.{level}.1.norm.weight" in state]
    _check_options(kwargs, levels, depth, checkpoint.path)
    match = _ATTENTION.match(str(kwargs.get("attention") or ""))
    try:
        path = checkpoint.path
        first = [_weight(state, f"model.encoder.{level}.0.block1.conv.weight", 4, path) for level in range(depth)]
        times, last = _weight(state, "model.time_mlp.0.weight", 2, path), _weight(state, "model.final_conv.weight", 4, path)
        return DenoiserSizes(
            in_channels=first[0].shape[1],
            out_channels=last.shape[0],
            features=tuple(weight.shape[0] for weight in first),
            kernel_size=last.shape[-1],
            padding_mode=kwargs.get("padding_mode", "zeros"),
            attention_from=levels[0] + 1 if levels else None,
            heads=int(match[2]) if match else 2,
            dropout=kwargs.get("dropout") or 0.0,
            time_embedding_dim=times.shape[1],
            time_width=times.shape[0],
        )
    except (KeyError, IndexError) as error:
        raise InvalidInputError(
            f"{checkpoint.path} holds an incomplete U-Net (it lacks {error.args[0]}); copy it again."
        ) from None


def _check_options(kwargs: dict[str, Any], levels: list[int], depth: int, path: Path) -> None:
    """Refuse options under which the same weights would mean other networks."""
    if levels and levels != list(range(levels[0], depth)):
        raise InvalidInputError(
            f"the U-Net of {path} has attention at levels {levels}; needed: from one level down to the last."
        )
    for name, values in (("activation", ("silu",)), ("final_activation", ("none", "identity", "linear", ""))):
        value = kwargs.get(name)
        if value is not None and str(value).lower() not in values:
            raise InvalidInputError(
                f"the log beside {path} names the {name} {value!r}; needed: {values[0]}, the published one."
            )
