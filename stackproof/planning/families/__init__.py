"""The cost models, a module for each family of technologies. A model takes a `Biller` and writes its lines. Pure."""
