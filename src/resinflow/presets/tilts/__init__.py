"""The preset tilts: the slopes of the fibres of a slice, drawn by a diffusion over the fibres."""
