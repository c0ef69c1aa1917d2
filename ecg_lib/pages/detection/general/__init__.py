"""Read any page by its names and traces, one file per step.

looks (a page at the size at which it is read) -> marks (what a small network sees) -> level (lines
run level) -> lattice (the names make a layout) -> rows -> strips -> columns -> reading (boxes, or
why not). again reads names alone, closer or turned; confirm checks the quick reader's answer.
"""
