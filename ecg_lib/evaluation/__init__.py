"""Evaluate predictions: figures, intervals, comparisons, tables and plots."""
