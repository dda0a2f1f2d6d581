"""Wires the house together and knows nothing of the domain: settings, addresses, Celery, logs."""
