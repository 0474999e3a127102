"""Where microstructures come from: random fibre bundles, and images and stacks of real ones."""

from resinflow.media.bundles import BundleSettings, Fibres, fibre_bundle

__all__ = ["BundleSettings", "Fibres", "fibre_bundle"]
