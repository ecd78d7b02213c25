"""galaxy-live beside other servers, within the same minutes: `python -m loadtest.bench`."""
