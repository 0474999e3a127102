"""torch.compile for the networks of a stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from resinflow.core import InvalidInputError


def compile_networks(module: nn.Module) -> None:
    """Compile, in place and on first use, the outermost submodules that are called as functions.

    Containers without a ``forward`` of their own are looked into. Names of the weights do not change.
    """
    for child in module.children():
        if _has_forward(child):
            child.compile()
        else:
            compile_networks(child)


@contextmanager
def explained_compiler_errors() -> Iterator[None]:
    """Turn a failure of the compiler, which shows at the first step, into one line.

    Raises:
        InvalidInputError: torch.compile does not work here.
    """
    from torch._dynamo.exc import TorchDynamoException  # loads the compiler

    try:
        yield
    except TorchDynamoException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and "TORCHDYNAMO_VERBOSE" not in line]
        reason = " ".join(lines[:2]) or type(error).__name__  # what failed, and why
        raise InvalidInputError(
            f"torch.compile failed ({reason[:200]}); needed: a working C++ compiler, or compile: false in the recipe."
        ) from None


def _has_forward(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward
