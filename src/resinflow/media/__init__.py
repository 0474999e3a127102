"""Where microstructures come from: random fibre bundles, and images and stacks of real ones."""

from resinflow.media.bundles import BundleSettings, draw_fibres, fibre_bundle, provenance_of
from resinflow.media.fibres import Fibres, Wave
from resinflow.media.images import from_image, read_stack
from resinflow.media.micrograph import draw_micrograph, save_stack
from resinflow.media.segment import Segmentation, SegmentationSettings, dice, segment
from resinflow.media.statistics import BundleStatistics, bundle_statistics, hard_disc_nearest_neighbour

__all__ = [
    "BundleSettings",
    "BundleStatistics",
    "Fibres",
    "Segmentation",
    "SegmentationSettings",
    "Wave",
    "bundle_statistics",
    "dice",
    "draw_fibres",
    "draw_micrograph",
    "fibre_bundle",
    "from_image",
    "hard_disc_nearest_neighbour",
    "provenance_of",
    "read_stack",
    "save_stack",
    "segment",
]
