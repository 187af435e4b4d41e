"""Declares, locks and syncs the model files of a repository."""

__version__ = "0.1.0"
