"""The learned front end: from an image of fibres to their surfaces."""
