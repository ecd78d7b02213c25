"""What things cost in processor time, measured in one process: `python -m tests.costs.message`."""
