"""From measurements to a recommendation: stacks as data, the price book, what is demanded, and what it costs.

Everything here is pure, but for the reading of the data files beside it. Amounts are exact decimals, never floats, and what
is not known stays not known in every sum.
"""
