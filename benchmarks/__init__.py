"""Measurements of fetcher beside other downloaders; `python -m benchmarks --help`."""
