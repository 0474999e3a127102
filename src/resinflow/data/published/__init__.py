"""The published layout of data sets, and the way from it and into it."""
