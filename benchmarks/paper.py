"""The preset ``paper`` against a straightforward implementation of the same networks: same weights, same inputs, one process.

    OMP_NUM_THREADS=1 python benchmarks/paper.py --size 256

With one thread times are the CPU time of the process, which does not depend on what else the machine does, up to shared
caches; with more (OMP_NUM_THREADS) they are wall-clock times, for a machine that does nothing else. Each is the best of the
repetitions after a warm-up. Weights are random: times do not depend on them, and errors show
rounding alone. ``prediction`` is DDIM of 50 steps put together from its parts; the straightforward program encodes twice, as
the published one does, which runs its encoder on zeros to learn the shape of the latent.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from typing import cast

import torch
from rich.console import Console
from rich.table import Table
from stopwatch import command_line, peak_bytes
from torch import Tensor, nn
from torch.nn import functional as F

from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.networks.unet import Block, DoubleBlock, Down, SelfAttention, UNet, Up, sinusoid
from resinflow.presets.paper.networks.vae import Decoder, Encoder, ResidualBlock
from resinflow.presets.paper.recipe import PaperArchitecture

DDIM_STEPS = 50


def plain_residual(block: ResidualBlock, x: Tensor) -> Tensor:
    """A residual block of the VAE, one operation after the other."""
    h = block.conv1(F.silu(block.norm1(x)))
    h = block.conv2(F.silu(block.norm2(h)))
    return h + (x if block.residual_layer is None else block.residual_layer(x))


def plain_encoder(net: Encoder, x: Tensor) -> Tensor:
    """The encoder in the default layout."""
    h = plain_residual(net.res1_2, plain_residual(net.res1_1, net.conv_in(x)))
    h = net.down1(F.pad(h, (0, 1, 0, 1, 1, 1)))
    h = plain_residual(net.res2_2, plain_residual(net.res2_1, h))
    h = net.down2(F.pad(h, (0, 1, 0, 1, 1, 1)))
    h = plain_residual(net.res3_2, plain_residual(net.res3_1, h))
    return net.conv_out(F.silu(net.norm_out(h)))


def plain_decoder(net: Decoder, z: Tensor) -> Tensor:
    """The decoder in the default layout, with doubled fields in memory."""

    def doubled(layer: nn.Conv3d, h: Tensor) -> Tensor:
        return F.conv3d(F.interpolate(h, scale_factor=(1, 2, 2)), layer.weight, layer.bias, padding=1)

    h = plain_residual(net.res1_2, plain_residual(net.res1_1, net.conv_in(z)))
    h = plain_residual(net.res2_2, plain_residual(net.res2_1, doubled(net.conv_up1, h)))
    h = plain_residual(net.res3_2, plain_residual(net.res3_1, doubled(net.conv_up2, h)))
    return net.conv_out(F.silu(net.norm_out(h)))


def plain_unet(net: UNet, x: Tensor, timestep: Tensor) -> Tensor:
    """The denoiser in the default layout."""
    embedding = net.time_mlp(sinusoid(timestep, net.time_embedding_dim))

    def block(part: Block, h: Tensor) -> Tensor:
        return F.silu(part.norm(F.conv2d(h, part.conv.weight, padding=part.conv.padding)))

    def double(part: DoubleBlock, h: Tensor) -> Tensor:
        h = block(part.block1, h) + part.time_mlp(embedding)[:, :, None, None]
        return block(part.block2, h)

    def attention(part: SelfAttention | nn.Identity, h: Tensor) -> Tensor:
        if isinstance(part, nn.Identity):
            return h
        pixels = part.norm(h).flatten(2).transpose(1, 2)
        mixed = part.mha(pixels, pixels, pixels, need_weights=False)[0]
        return h + part.proj_out(mixed.transpose(1, 2)).view(h.shape)

    skips = []
    for first, second, down in cast("Iterable[tuple[DoubleBlock, SelfAttention | nn.Identity, Down]]", net.encoder):
        x = attention(second, double(first, x))
        skips.append(x)
        x = F.silu(down.norm(F.max_pool2d(x, 2)))
    x = double(net.bottleneck, x)
    for up, second, third in cast("Iterable[tuple[Up, DoubleBlock, SelfAttention | nn.Identity]]", net.decoder):
        x = torch.cat([skips.pop(), F.silu(up.norm(up.conv(x)))], dim=1)
        x = attention(third, double(second, x))
    return net.final_conv(x)


def best_time(task: Callable[[], Tensor], repetitions: int) -> tuple[float, Tensor]:
    """Seconds of the fastest repetition after one warm-up (CPU time of one thread, wall-clock time of more), and the result."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    result, best = task(), float("inf")
    for _ in range(repetitions):
        start = clock()
        result = task()
        best = min(best, clock() - start)
    return best, result


def random_system() -> PaperSystem:
    """A published model of full size with random weights of unit gain."""
    torch.manual_seed(0)
    with torch.device("meta"):
        system = PaperSystem(PaperArchitecture())
    system = system.to_empty(device="cpu").eval()
    for name, weight in system.named_parameters():
        gain = 0.1 if weight.dim() == 1 else weight[0].numel() ** -0.5
        weight.data.normal_(std=gain)
        if "norm" in name and name.endswith("weight"):
            weight.data += 1
    system.norm_factors.fill_(1)
    return system


def measure(system: PaperSystem, size: int, slices: int, repetitions: int) -> dict[str, dict[str, tuple[float, Tensor]]]:
    """Return per implementation and part the seconds and the output."""
    generator = torch.Generator().manual_seed(1)
    flow = torch.randn(1, 3, slices, size, size, generator=generator)
    latent = torch.randn(1, 8, slices, size // 4, size // 4, generator=generator)
    noisy = torch.randn(slices, 17, size // 4, size // 4, generator=generator)
    timestep = torch.full((slices,), 500)
    vae, unet = system.vae, system.model
    if unet is None:
        raise SystemExit("the preset has a denoiser; none was built")
    plain = {
        "encode": lambda: plain_encoder(vae.encoder_2d, flow),
        "decode": lambda: plain_decoder(vae.decoder_3d, latent),
        "denoise one step": lambda: plain_unet(unet, noisy, timestep),
    }
    ours = {
        "encode": lambda: vae.encoder_2d(flow.to(system.dtype)),
        "decode": lambda: vae.decoder_3d(latent.to(system.dtype)),
        "denoise one step": lambda: unet(noisy.to(system.dtype), timestep),
    }
    results = {}
    with torch.inference_mode():
        for name, tasks in (("straightforward", plain), ("paper float32", ours)):
            results[name] = {part: best_time(task, repetitions) for part, task in tasks.items()}
        system.with_precision("bfloat16")
        results["paper bfloat16"] = {part: best_time(task, repetitions) for part, task in ours.items()}
    return results


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__)
    parser.add_argument("--size", type=int, default=256, help="pixels of a slice's edge, a multiple of 128")
    parser.add_argument("--slices", type=int, default=11)
    parser.add_argument("--repetitions", type=int, default=1)
    options = parser.parse_args()
    results = measure(random_system(), options.size, options.slices, options.repetitions)
    reference = results["straightforward"]
    table = Table(title=f"{options.slices} x {options.size} x {options.size}, seconds, {torch.get_num_threads()} thread(s)")
    for column in ("part", "straightforward", "paper float32", "faster", "error", "paper bfloat16", "faster", "error"):
        table.add_column(column)
    for part, (before, expected) in reference.items():
        cells = [part, f"{before:.3g}"]
        for name in ("paper float32", "paper bfloat16"):
            seconds, output = results[name][part]
            error = float((output.float() - expected).norm() / expected.norm())
            cells += [f"{seconds:.3g}", f"{before / seconds:.2f}", f"{error:.1e}"]
        table.add_row(*cells)
    totals = {
        name: (2 if name == "straightforward" else 1) * parts["encode"][0]
        + DDIM_STEPS * parts["denoise one step"][0]
        + parts["decode"][0]
        for name, parts in results.items()
    }
    first, whole, reduced = totals.values()
    row = [f"{first:.1f}", f"{whole:.1f}", f"{first / whole:.2f}", "", f"{reduced:.1f}", f"{first / reduced:.2f}", ""]
    table.add_row(f"prediction, DDIM-{DDIM_STEPS}", *row)
    console = Console(width=140)
    console.print(table)
    memory = peak_bytes() / 1e9
    console.print(f"errors: relative L2 against the straightforward program; peak memory of all together {memory:.1f} GB")
    console.print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
