"""The one table of the families of models, and the recipes and models that it opens. Nothing here loads Lightning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from resinflow.flow import InvalidInputError, check_type, first_fault, read_recipe, read_values
from resinflow.models import CONFIG, Device, Predictor, read_log, schema_of
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import EARLIER, DirectRecipe
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import LatentRecipe
from resinflow.presets.oneslice.recipe import SliceRecipe
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import PaperRecipe
from resinflow.train import MACHINE_OPTIONS, BaseRecipe
from resinflow.train.run_directory import MODEL, RECORD, read_record


@dataclass(frozen=True)
class Family:
    """One family of models.

    Attributes:
        recipe: type of its recipes.
        predictor: type of its models; None: they draw media about sections, and predict no flow of a medium.
        stages: name of the module whose ``PRESET`` trains it. Training alone imports it, since it loads Lightning.
        earlier: value of the key ``preset`` in recipes of earlier versions.
    """

    recipe: type[BaseRecipe]
    predictor: type[Predictor[Any, Any]] | None
    stages: str
    earlier: str | None = None


FAMILIES: dict[str, Family] = {
    "latent": Family(LatentRecipe, LatentPredictor, "resinflow.presets.latent.stages"),
    "direct": Family(DirectRecipe, DirectPredictor, "resinflow.presets.direct.stages", earlier=EARLIER),
    "oneslice": Family(SliceRecipe, None, "resinflow.presets.oneslice.stages"),
    "paper": Family(PaperRecipe, PaperPredictor, "resinflow.presets.paper.stages"),
}
"""Every family by the key ``preset`` of its recipes; a recipe without that key is of the family latent."""
_DEFAULT = "latent"
_SHIPPED = Path(__file__).parent / "weights"


def load_recipe(path: str | Path) -> BaseRecipe:
    """Return the recipe ``path`` or ``FILE:VARIANT``, whose key ``preset`` says which family of models it trains.

    Raises:
        InvalidInputError: no such file, an unknown preset or option, or a value out of range.

    Example:
        >>> import resinflow as rf
        >>> rf.load_recipe("recipes/tiny.yaml").name
        'tiny'
    """
    preset = str(read_values(path).get("preset", _DEFAULT))
    for name, family in FAMILIES.items():
        if preset in (name, family.earlier):
            return read_recipe(Path(path), family.recipe)
    raise InvalidInputError(f"{path}: preset: there is no preset {preset!r}; needed: one of {', '.join(FAMILIES)}.")


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
    predictors = {family.predictor.schema: family.predictor for family in FAMILIES.values() if family.predictor is not None}
    # the default one refuses what is no model, or one that predicts nothing
    return predictors.get(schema_of(directory) or "", LatentPredictor).load(directory, device)


def model_directory(name_or_directory: str | Path) -> Path:
    """Return where a model is: a shipped one by name, a model directory, or that of a run directory.

    Raises:
        InvalidInputError: neither a shipped model nor a directory, or a run without a finished model.
    """
    directory = start_directory(name_or_directory)
    if (directory / CONFIG).is_file() or not (directory / RECORD).is_file():
        return directory
    if not (directory / MODEL).is_dir():
        raise InvalidInputError(
            f"the run {directory} has no model yet; needed: a run whose last stage is finished, or a model directory."
        )
    return directory / MODEL


def recorded_recipe_of(directory: Path) -> BaseRecipe | None:
    """Return the recipe that a model or a run was trained with; None where it does not say, or not all of it.

    Raises:
        InvalidInputError: a damaged record, or a recipe that this version does not know.
    """
    in_run = (directory / RECORD).is_file() and not (directory / CONFIG).is_file()
    values = (read_record(directory / RECORD) if in_run else read_log(directory)).get("recipe")
    stages = {stage for family in FAMILIES.values() for stage in family.recipe.stages}
    if in_run and isinstance(values, dict) and not stages & values.keys():
        values = read_log(directory).get("recipe")  # each stage has a record of its own; the log has all of the last call's
    if not isinstance(values, dict):
        return None
    preset = values.get("preset", _DEFAULT)
    family = next((family for name, family in FAMILIES.items() if preset in (name, family.earlier)), None)
    if family is None or not all(isinstance(values.get(stage), dict) for stage in family.recipe.stages):
        return None
    for stage in family.recipe.stages:  # of the machine that it was trained on
        values = {**values, stage: {name: value for name, value in values[stage].items() if name not in MACHINE_OPTIONS}}
    try:
        return family.recipe.model_validate(values)
    except ValidationError as error:
        raise InvalidInputError(f"the recipe in {directory}: {first_fault(error, 'recipe')}; needed: --recipe.") from None


def start_directory(name_or_directory: str | Path) -> Path:
    """Return where a model to start from is: a shipped one by name, a model directory, or a run directory.

    Raises:
        InvalidInputError: neither a shipped model nor a directory.
    """
    check_type("the model", name_or_directory, (str, Path), "the name of a shipped model, or a model directory")
    shipped = sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir()) if _SHIPPED.is_dir() else []
    if str(name_or_directory) in shipped:
        return _SHIPPED / str(name_or_directory)
    if not Path(name_or_directory).is_dir():
        raise InvalidInputError(
            f"there is no model {str(name_or_directory)!r}; needed: a shipped one ({', '.join(shipped) or 'none here'}) "
            "or a model directory."
        )
    return Path(name_or_directory)
