"""What a run of load means: its figures, what limited it, whether it is valid, and what a search for the ceiling found.

Pure, but for what runs something (``ceiling``, ``calibrating``), keeps or reads files of a run (``window_log``, ``evidence``), or
asks the machine and the servers (``environment``, ``server_settings``). What was offered, and how, is in `stackproof.scenarios`.
"""
