"""Adapters of the search concern: one module per technology."""
