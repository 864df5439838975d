"""Yardsticks: the field's own load tools, on the same server in the same run, beside our generator.

A tool written in C or Java, which formats a request and throws the answer away, says how much of a server one core of a
client can ask for. Our generator decides what to ask, encodes it, checks what comes back, keeps to a schedule and records
every latency; the ratio of the two says what that costs.

`yardstick` has the interface, one module a tool its adapter, `comparison` what the rounds mean.
"""
