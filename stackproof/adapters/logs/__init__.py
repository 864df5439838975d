"""Adapters of the logs concern: one module per technology."""
