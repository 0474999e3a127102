"""Models by name: where their weights are, and which family they are of."""

from __future__ import annotations

from pathlib import Path

from resinflow.flow import InvalidInputError
from resinflow.models import Device, Predictor, schema_of
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.paper.predictor import PaperPredictor

PREDICTORS: tuple[type[Predictor], ...] = (LatentPredictor, DirectPredictor, PaperPredictor)
"""Every family of models; the schema of a model's directory tells which it is of."""
_SHIPPED = Path(__file__).parent / "weights"


def load_model(name_or_directory: str | Path = "small", device: Device = "auto") -> Predictor:
    """Return a model that predicts from a microstructure alone: a shipped one by name, or a model directory.

    A directory that ``resinflow model convert`` wrote gives the published model.

    Args:
        name_or_directory: of the model.
        device: where its networks compute; ``auto``: on a GPU if there is one.

    Raises:
        InvalidInputError: neither a shipped model nor a model directory, damaged files, or a device that is not there.

    Example:
        >>> import resinflow as rf
        >>> model = rf.load_model("runs/small/model")
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> flow = model.predict(micro, axis="x", samples=2, seed=0)
        >>> flow.permeability_samples.shape
        (2,)
    """
    directory = model_directory(name_or_directory)
    schema = schema_of(directory)
    family = next((family for family in PREDICTORS if family.schema == schema), LatentPredictor)
    return family.load(directory, device)


def model_directory(name_or_directory: str | Path) -> Path:
    """Return where a model is: a shipped one by name, or a model directory.

    Raises:
        InvalidInputError: neither a shipped model nor a directory.
    """
    shipped = sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir()) if _SHIPPED.is_dir() else []
    if str(name_or_directory) in shipped:
        return _SHIPPED / str(name_or_directory)
    if not Path(name_or_directory).is_dir():
        raise InvalidInputError(
            f"there is no model {str(name_or_directory)!r}; needed: a shipped one ({', '.join(shipped) or 'none here'}) "
            "or a model directory."
        )
    return Path(name_or_directory)
