"""Adapters of the events concern: one module per technology."""
