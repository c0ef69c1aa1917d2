"""Draw ECG pages: from digital recordings, and from simulated hearts."""
