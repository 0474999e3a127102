"""The engine that trains one stage of any preset."""

from resinflow.train.checkpoints import LAST
from resinflow.train.data import StageData, sample_generator
from resinflow.train.fit import checkpoint_activations, fit_stage
from resinflow.train.flow_stage import FlowStageConfig, Stage, flow_rate_error, masked_rmse, velocity_error
from resinflow.train.history import METRICS, best_validation_loss, write_log
from resinflow.train.loading import Batch, FlowDataModule, LoadingConfig, measure_target_scale
from resinflow.train.run import CLAIM, MODEL, claim_run, read_claim, result_of, weights_before, weights_of
from resinflow.train.stage import MACHINE_OPTIONS, STAGES, Part, Positive, StageConfig, StageName, TrainedStage, Weight

__all__ = [
    "CLAIM",
    "LAST",
    "MACHINE_OPTIONS",
    "METRICS",
    "MODEL",
    "STAGES",
    "Batch",
    "FlowDataModule",
    "FlowStageConfig",
    "LoadingConfig",
    "Part",
    "Positive",
    "Stage",
    "StageConfig",
    "StageData",
    "StageName",
    "TrainedStage",
    "Weight",
    "best_validation_loss",
    "checkpoint_activations",
    "claim_run",
    "fit_stage",
    "flow_rate_error",
    "masked_rmse",
    "measure_target_scale",
    "read_claim",
    "result_of",
    "sample_generator",
    "velocity_error",
    "weights_before",
    "weights_of",
    "write_log",
]
