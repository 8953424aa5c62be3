"""The cluster file and what it becomes: hosts, gateways and options, every error at once."""
