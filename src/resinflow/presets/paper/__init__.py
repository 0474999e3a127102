"""The preset paper: the published system."""
