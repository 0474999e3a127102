"""The preset direct: one deterministic network in voxel space."""
