"""Workloads, arrival schedules, the recorder, and the Locust process that offers the load.

Nothing here imports Locust except ``locustfile.py`` and ``generator.py``, which only ever run in a process of their own:
importing Locust patches the whole process.
"""
