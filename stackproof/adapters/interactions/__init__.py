"""Adapters of the interactions concern: one module per technology."""
