"""Training of any preset: one engine, one loader. Here are the options; what loads Lightning is taken from its own module."""

from resinflow.train.stage_options import (
    MACHINE_OPTIONS,
    BaseRecipe,
    FlowRecipe,
    FlowStageOptions,
    Positive,
    Size,
    StageOptions,
    Weight,
)

__all__ = ["MACHINE_OPTIONS", "BaseRecipe", "FlowRecipe", "FlowStageOptions", "Positive", "Size", "StageOptions", "Weight"]
