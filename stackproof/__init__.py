"""stackproof."""
