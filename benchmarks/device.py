"""Predictions on the CPU and on a GPU: time, and how far the flows of the two lie apart.

    python benchmarks/device.py                                # both sizes, one medium and 32
    python benchmarks/device.py --sizes 64 --batches 1 --devices cpu

Media are tilted fibre bundles of fibre fraction 0.5, 11 slices of 64 x 64 or 256 x 256 pixels of the same size. A batch is so
many media, predicted one after the other: the package has no other way. Their start flows are solved before, on the CPU;
``start`` is what that takes, to be added to a prediction from the medium alone. Times are those of the fastest repetition after
a prediction that does not count. ``difference`` is the relative L2 difference of the velocity from the CPU's, the largest of
the batch: rounding, in bfloat16 on devices that multiply in it. Without a GPU there are the rows of the CPU alone.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from stopwatch import Seconds, command_line, timed

if TYPE_CHECKING:
    from resinflow.flow import FlowField
    from resinflow.models import Device, Predictor, StartFlows

LAYERS, DEPTH, PIXEL = 11, 50e-6, 50e-6 / 64
DEVICES: tuple[Device, ...] = ("cpu", "cuda")


def solved_starts(size: int, count: int, model: Predictor) -> tuple[list[StartFlows], Seconds]:
    """Return the start flows of media with different seeds, and what a medium's took in the mean."""
    from resinflow.media import BundleSettings, fibre_bundle
    from resinflow.models import start_flows

    shape, extent = (LAYERS, size, size), (DEPTH, size * PIXEL, size * PIXEL)
    settings = BundleSettings(volume_fraction=0.5)
    media = [fibre_bundle(shape, extent, seed=seed, settings=settings) for seed in range(1, count + 1)]
    starts, seconds = timed(lambda: [start_flows(micro, base=model.base) for micro in media])
    return starts, seconds * (1 / count)


def predicted(model: Predictor, starts: Sequence[StartFlows], repeats: int) -> tuple[list[FlowField], Seconds]:
    """Return the predicted flows and the times of the fastest repetition; a flow is an array on the CPU when it is there."""

    def work() -> list[FlowField]:
        return [model.predict(start.base.microstructure, start.base.drive, start=start) for start in starts]

    model.predict(starts[0].base.microstructure, starts[0].base.drive, start=starts[0])
    results = [timed(work) for _ in range(repeats)]
    return results[0][0], min((seconds for _, seconds in results), key=lambda seconds: seconds.wall)


def difference(flows: Sequence[FlowField], reference: Sequence[FlowField]) -> float:
    """Return the largest relative L2 difference of the velocities of two batches."""
    pairs = zip(flows, reference, strict=True)
    return max(float(np.linalg.norm(a.velocity - b.velocity) / np.linalg.norm(b.velocity)) for a, b in pairs)


def device_name(device: Device) -> str:
    """Return what a device is called."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()


def measured(models: dict[Device, Predictor], sizes: Sequence[int], batches: Sequence[int], repeats: int) -> Table:
    """Measure every device on every size and batch."""
    table = Table(title=f"a prediction on {LAYERS} slices, start flows apart")
    for heading in ("pixels", "media", "device", "s", "s / medium", "CPU s", "faster", "difference", "start, s / medium"):
        table.add_column(heading, justify="right")
    for size in sizes:
        starts, solving = solved_starts(size, max(batches), next(iter(models.values())))
        for count in batches:
            rows = {device: predicted(model, starts[:count], repeats) for device, model in models.items()}
            for device, (flows, seconds) in rows.items():
                cells = [
                    str(size),
                    str(count),
                    device,
                    f"{seconds.wall:.3g}",
                    f"{seconds.wall / count:.3g}",
                    f"{seconds.cpu:.3g}",
                ]
                apart = ["", ""]
                if device != "cpu" and "cpu" in rows:
                    apart = [f"{rows['cpu'][1].wall / seconds.wall:.1f} x", f"{difference(flows, rows['cpu'][0]):.1e}"]
                table.add_row(*cells, *apart, f"{solving.wall:.3g}")
        table.add_section()
    return table


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256], help="pixels of a slice's edge")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32], help="media predicted one after the other")
    parser.add_argument("--devices", nargs="+", choices=DEVICES, default=list(DEVICES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="small", help="a shipped model or a directory")
    options = parser.parse_args()
    import torch

    from resinflow.presets import load_model

    console = Console(width=132)
    devices: list[Device] = [d for d in DEVICES if d in options.devices and (d == "cpu" or torch.cuda.is_available())]
    if len(devices) < len(options.devices):
        console.print("PyTorch sees no GPU here: the CPU alone")
    if not devices:
        return
    models: dict[Device, Predictor] = {device: load_model(options.model, device=device) for device in devices}
    console.print(measured(models, options.sizes, options.batches, options.repeats))
    for device in devices:
        console.print(f"{device}: {device_name(device)}")
    console.print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)")


if __name__ == "__main__":
    main()
