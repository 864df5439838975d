"""Adapters of the cache concern: one module per technology."""
