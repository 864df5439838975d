"""The reference pages of the documentation, written from the code, so that they cannot say anything else.

python -m stackproof.reference docs/reference

It knows everything, the command line included; nothing imports it.
"""
