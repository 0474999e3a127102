"""Where microstructures come from: random fibre bundles, and images and stacks of real ones."""

from resinflow.media.bundles import BundleSettings, Fibres, fibre_bundle
from resinflow.media.images import from_image, read_stack
from resinflow.media.micrograph import draw_micrograph, save_stack
from resinflow.media.segment import Segmentation, SegmentationSettings, dice, segment

__all__ = [
    "BundleSettings",
    "Fibres",
    "Segmentation",
    "SegmentationSettings",
    "dice",
    "draw_micrograph",
    "fibre_bundle",
    "from_image",
    "read_stack",
    "save_stack",
    "segment",
]
