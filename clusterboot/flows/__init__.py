"""The rooms joined: bootstrap, facts, run, nccl-test, link-map, teardown; each from a value to a result."""
