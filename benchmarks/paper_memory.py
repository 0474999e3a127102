"""Memory and time of one training step of the published VAE at full size: encoder_3d and decoder_3d, forward, backward, Adam.

    OMP_NUM_THREADS=2 python benchmarks/paper_memory.py --size 256

The step runs in a process of its own, so that its peak is that of the step and of the libraries; ``--keep-activations`` turns
gradient checkpointing off. Weights and flows are random: neither memory nor time depends on them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys

from stopwatch import command_line, in_child, now, peak_bytes

_STEP = "--step-alone"


def run_step(size: int, slices: int, checkpointing: bool) -> dict[str, float]:
    """Make one optimiser step of stage 1 with batch 1 and return its numbers."""
    import torch

    from resinflow.presets.paper.data import PaperBatch
    from resinflow.presets.paper.networks.system import PaperSystem
    from resinflow.presets.paper.networks.vae import ResidualBlock
    from resinflow.presets.paper.recipe import PaperModel, PaperVae3dOptions
    from resinflow.presets.paper.stages import PaperVae3dStage
    from resinflow.train.fit import checkpoint_activations

    torch.manual_seed(0)
    system = PaperSystem(PaperModel().architecture(unet=None))
    if checkpointing:
        checkpoint_activations(system, ResidualBlock)
    stage = PaperVae3dStage(system, PaperVae3dOptions(), seed=0)
    trained = [parameter for parameter in stage.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    flow = torch.randn(1, 3, slices, size, size)
    batch = PaperBatch(
        torch.ones(1, 1, slices, size, size), flow, flow, torch.ones(1, 3), torch.zeros(1, dtype=torch.long), torch.zeros(1, 3)
    )
    before = peak_bytes() / 1e9
    start = now()
    loss = stage.losses(batch, "train", 0)["loss"]
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    seconds = now() - start
    return {
        "seconds": seconds.wall,
        "cpu_seconds": seconds.cpu,
        "peak_gb": peak_bytes() / 1e9,
        "before_gb": before,
        "parameters": sum(parameter.numel() for parameter in trained),
        "loss": float(loss),
        "gradient_norm": float(norm),
    }


def main() -> None:
    """Run the step in a subprocess and print what it took."""
    parser = command_line(__doc__)
    parser.add_argument("--size", type=int, default=256, help="pixels of a slice's edge, a multiple of 4")
    parser.add_argument("--slices", type=int, default=11)
    parser.add_argument("--keep-activations", action="store_true", help="no gradient checkpointing")
    parser.add_argument(_STEP, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step_alone:
        print(json.dumps(run_step(options.size, options.slices, not options.keep_activations)))
        return
    step = in_child([sys.executable, *sys.argv, _STEP])
    size = f"1 x 3 x {options.slices} x {options.size} x {options.size}"
    activations = "kept" if options.keep_activations else "of the residual blocks recomputed"
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    print(f"{size}, {step['parameters'] / 1e6:.0f} M trained parameters, activations {activations}, {platform.machine()}")
    print(f"peak memory {step['peak_gb']:.1f} GB (before the step {step['before_gb']:.1f} GB)")
    print(f"{step['seconds']:.0f} s, {step['cpu_seconds']:.0f} s of CPU, {threads} thread(s)")
    print(f"loss {step['loss']:.3f}, norm of the gradient {step['gradient_norm']:.3f}")


if __name__ == "__main__":
    main()
