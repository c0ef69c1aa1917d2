"""Classify a heart's condition from the picture of a 12-lead ECG page.

Research software, not a diagnosis.
"""

__version__ = "0.1.0"
