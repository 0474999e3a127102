"""The preset oneslice: volumes, and the flow through them, drawn about one section."""
