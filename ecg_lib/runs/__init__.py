"""Runs: their configuration, inputs, folders, records and predictions."""
