"""What the servers of a run are set to, asked from them by the drivers of their adapters, and what that means for durability.

One module a technology, each with the meaning of what it asks. Only settings and counts are read, never data; nothing is
written. What a server does not tell is recorded as unknown, with the reason.
"""
