"""The predictor: weights, configuration and scaling in one directory that rebuilds itself."""

from resinflow.model.config import PRESETS, ModelConfig
from resinflow.model.correction import FlowSolvers, StartFlows
from resinflow.model.paper import PaperPredictor
from resinflow.model.predictor import FlowPredictor

__all__ = ["PRESETS", "FlowPredictor", "FlowSolvers", "ModelConfig", "PaperPredictor", "StartFlows"]
