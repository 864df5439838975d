"""Reports: a certificate or a measurement as a page, as JUnit, and in the terminal.

Every writer is made from the values, never from another writer's output, so that they cannot disagree.
"""
