"""The app: from a micrograph to K in a browser, on one's own machine. It calls what the command line calls."""
