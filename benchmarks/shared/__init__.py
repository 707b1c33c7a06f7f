"""What all benchmarks use: texts, plans, the machine's facts, reports."""
