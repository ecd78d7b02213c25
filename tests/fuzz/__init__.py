"""Fuzz targets, run for long by `make fuzz` and for a fixed number of inputs by the tests of what they fuzz."""
