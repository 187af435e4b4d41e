"""Declares, locks and syncs the model files of a repository."""
