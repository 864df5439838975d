"""What a run of load means: its figures, what limited it, whether it is valid, and what a search for the ceiling found.

Pure, but for the module that runs a search. What was offered, and how, is in ``stackproof.scenarios``.
"""
