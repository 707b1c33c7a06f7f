"""Side by side with what a user would pick instead: the same texts, the same model, the same Elasticsearch node.

`make bench` runs it. Each side works in a process of its own, so that its peak memory is its own; one run compares
the two, and only ratios within a run mean anything on a shared machine. Results go to stdout and `bench-results/`.
"""
