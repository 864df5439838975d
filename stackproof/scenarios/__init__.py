"""Workloads, arrival schedules, the recorder, and the Locust process that offers the load.

Importing Locust patches the whole process. Nothing here does so except ``locustfile.py`` and ``arrival_user.py``, and what the
workers among its processes load (``locust_statistics.py``): they only ever run in a process of their own.
"""
