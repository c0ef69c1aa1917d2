"""Train, judge, record."""
