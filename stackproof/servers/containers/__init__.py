"""Servers in containers, through testcontainers. Docker's packages are imported when the first one starts."""
