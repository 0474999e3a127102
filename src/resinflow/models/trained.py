"""What trained networks share that draw or read media and predict no flow of a medium: their directory, and how they print."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from pydantic import BaseModel
from torch import nn

from resinflow.models.device import Device, resolve_device
from resinflow.models.directory import WEIGHTS, read_document, restored_networks, write_model

Architecture = TypeVar("Architecture", bound=BaseModel)
Networks = TypeVar("Networks", bound=nn.Module)


class TrainedModel(ABC, Generic[Architecture, Networks]):
    """Networks with their weights, their sizes and the record of their training.

    Attributes:
        schema: of its directory.
        configuration: type of the architecture.
        name: of the model.
        architecture: sizes of the networks.
        networks: with their weights.
        log: how they were trained.
    """

    schema: ClassVar[str]
    configuration: ClassVar[type[BaseModel]]

    def __init__(self, name: str, architecture: Architecture, networks: Networks, log: dict[str, Any] | None = None) -> None:
        self.name = name
        self.architecture = architecture
        self.networks = networks.eval()
        self.log = log or {}

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.networks.parameters())
        return f"<{type(self).__name__} {self.name}: {count / 1e6:.2g} M parameters on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.networks.parameters()).device

    @staticmethod
    @abstractmethod
    def networks_of(architecture: Any) -> Any:
        """Return the networks of an architecture, with initial weights."""

    @classmethod
    def load(cls, directory: str | Path, device: Device = "auto") -> Self:
        """Rebuild a model from its directory.

        Raises:
            InvalidInputError: not such a directory, damaged files, or a device that is not there.
        """
        place = resolve_device(device)
        name, architecture, log = read_document(Path(directory), cls.schema, cls.configuration)
        networks = restored_networks(partial(cls.networks_of, architecture), Path(directory) / WEIGHTS)
        return cls(name, architecture, networks.to(place), log)  # pyright: ignore[reportArgumentType]

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        head = {"schema": self.schema, "name": self.name, "config": self.architecture.model_dump(mode="json")}
        return write_model(directory, self.networks, head, self.log)
