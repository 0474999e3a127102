"""The command line: argument parsing only. Every command is a function of :mod:`resinflow.workflows` and its neighbours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from resinflow.cli.data import BaseUrl, DownloadFolder, data_app
from resinflow.cli.evaluate import register as register_evaluation
from resinflow.cli.model import register as register_calibration
from resinflow.cli.options import DriveOptions, MediumOptions, PredictionOptions, TrainingFiles
from resinflow.cli.search import register as register_search
from resinflow.cli.view import register as register_views
from resinflow.flow import ResinflowError

_EXIT_MISSED = 1
_EXIT_ERROR = 2
_EXIT_INTERRUPTED = 130

app = App(
    name="resinflow",
    help="Steady 3-D resin flow through fibrous composite microstructures: velocity, pressure and permeability.",
    version_flags=["--version"],
)
train_app = App(
    name="train",
    help="Train a model in three stages: vae3d, vae2d, diffusion. Each can be interrupted and resumed. The recipe decides on "
    "the preset: small, or the published system (preset: paper). Deterministic baselines (preset: voxel) have one: direct.",
)
model_app = App(name="model", help="Model directories.")
app.command(data_app)
register_evaluation(app)
register_views(app)
app.command(train_app)
register_search(app)
register_calibration(model_app)
app.command(model_app)

Outputs = Annotated[
    list[Path] | None,
    Parameter(
        name=["--output", "-o"], help="Save the field: .vti (ParaView), .npz, .nc or .zarr; may be repeated.", negative=""
    ),
]
Flat = Parameter(name="*")


@app.command
def solve(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, Flat] = MediumOptions(),
    drive: Annotated[DriveOptions, Flat] = DriveOptions(),
    output: Outputs = None,
    figure: Path | None = None,
) -> None:
    """Solve the Stokes flow through a medium: the trustworthy number, from the voxels alone.

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a flow field saved before (.vti, .npz, .nc, .zarr).
    figure
        Save a figure (.png, .pdf, .svg) of the flow at the middle slice.
    """
    from resinflow.cli.solve import solve_medium

    solve_medium(medium, image, drive, output or [], figure)


@app.command
def predict(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, Flat] = MediumOptions(),
    options: Annotated[PredictionOptions, Flat] = PredictionOptions(),
    output: Outputs = None,
    figure: Path | None = None,
) -> None:
    """Predict the 3-D flow through a medium with a trained model; with --compare also solve it and show the errors.

    --certify says what is certain of the prediction; --refine hands it to the solver until K is as accurate as asked.

    Example: resinflow predict micrograph.tif --pixel-size 0.47e-6 --depth 50e-6 --compare

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a flow field saved before (.vti, .npz, .nc, .zarr).
    figure
        Where the figure goes (.png, .pdf, .svg); by default NAME_flow.png in the current folder.
    """
    from resinflow.cli.predict import predict_medium

    predict_medium(medium, image, options, output or [], figure)


@app.command
def demo(*, output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo")) -> None:
    """Run the whole way on an embedded stack of micrographs: segment, predict, solve, table and figure.

    Parameters
    ----------
    output
        Folder for flow.png and flow.vti.
    """
    from resinflow.cli.console import make_console
    from resinflow.cli.demo import run_demo

    run_demo(output, make_console())


@app.command
def verify(*, quick: bool = False) -> None:
    """Check the solver against known answers: channels, ducts, fibre arrays, K tensor, tilted bundle; exit status 1 on a miss.

    Parameters
    ----------
    quick
        Leave out the finest grids: a minute instead of several.
    """
    from resinflow.cli.verify import verify_and_print

    if not verify_and_print(quick=quick):
        sys.exit(_EXIT_MISSED)


def _train(stage: Literal["vae3d", "vae2d", "diffusion", "direct"], files: TrainingFiles) -> None:
    from resinflow.cli.training import train_and_print

    train_and_print(stage, files)


@train_app.command
def vae3d(files: Annotated[TrainingFiles, Flat]) -> None:
    """Stage 1: the 3-D branch of the VAE learns to encode and decode the flow (small: its correction to the response flow)."""
    _train("vae3d", files)


@train_app.command
def vae2d(files: Annotated[TrainingFiles, Flat]) -> None:
    """Stage 2: the 2-D branch learns the same latent from the planar fields; the 3-D branch is frozen."""
    _train("vae2d", files)


@train_app.command
def diffusion(files: Annotated[TrainingFiles, Flat]) -> None:
    """Stage 3: the diffusion model learns the way from the latent of the 2-D branch to that of the 3-D branch."""
    _train("diffusion", files)


@train_app.command
def direct(files: Annotated[TrainingFiles, Flat]) -> None:
    """The one stage of a deterministic baseline (preset: voxel): a U-Net or Fourier operator learns the correction directly."""
    _train("direct", files)


@model_app.command(name="download")
def download_model(name: str, /, *, output: DownloadFolder = None, base_url: BaseUrl = None) -> None:
    """Download published weights and verify them: published-3d or published-2d. Running again goes on.

    Parameters
    ----------
    name
        published-3d (3.9 GB) or published-2d.
    """
    from resinflow.cli.data_commands import download_model_and_print

    download_model_and_print(name, output, base_url)


@model_app.command
def convert(
    checkpoint: Path,
    output: Path,
    /,
    *,
    sampler: Literal["ddim", "ddpm"] = "ddim",
    steps: int = 50,
    eta: float = 0.0,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> None:
    """Convert a published checkpoint (VAE stage 1 or 2, or diffusion) into a model directory for --model.

    Parameters
    ----------
    checkpoint
        The .pt file, or its folder: best_model.pt before vae.pt before model.pt. vae_log.json or log.json is read beside it.
    output
        The model directory.
    sampler
        How the model samples: ddim, or ddpm (all steps of the schedule).
    steps
        Denoiser calls of ddim, unless a prediction names its own.
    eta
        Fresh noise of ddim, 0 to 1.
    precision
        Of the networks: bfloat16 is quicker and less exact; the weights stay float32 on disk.
    """
    from resinflow.cli.convert import convert_and_print

    convert_and_print(checkpoint, output, sampler=sampler, steps=steps, eta=eta, precision=precision)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that a user can cause end in one line on stderr and exit status 2."""
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (ResinflowError, CycloptsError) as error:
        sys.stderr.write("error: " + " ".join(str(error).split()) + "\n")
        sys.exit(_EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing half-written is left. Long jobs go on when the same command is run again.\n")
        sys.exit(_EXIT_INTERRUPTED)
