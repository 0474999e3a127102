"""The predictor: weights, configuration and scaling in one directory that rebuilds itself."""

from resinflow.model.config import PRESETS, ModelConfig
from resinflow.model.paper import PaperPredictor
from resinflow.model.predictor import FlowPredictor, StartFlows

__all__ = ["PRESETS", "FlowPredictor", "ModelConfig", "PaperPredictor", "StartFlows"]
