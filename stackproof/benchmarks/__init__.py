"""What an adapter costs beside its own driver (the adapter tax, by pytest-benchmark), and our load beside the field's tools.

`pairs` says what is compared, `measuring` how, `twins` holds the counterparts on the raw drivers, `suite` the benchmarks;
`rows` and `record` are what they found. `stackproof tax` runs all of it; `yardsticks` is a world of its own.
"""
