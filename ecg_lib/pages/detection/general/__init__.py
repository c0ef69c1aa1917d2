"""Read any page by its names and traces, one file per step.

marks (what a small network sees) -> level (lines run level) -> lattice (the names make a layout) ->
rows -> strips -> columns -> reading (boxes, or why not). confirm checks the quick reader's answer;
flipped tells whether a page is upside down or mirrored.
"""
