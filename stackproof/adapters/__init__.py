"""The adapters: one package per concern, one module per technology. Importing this package imports no driver."""
