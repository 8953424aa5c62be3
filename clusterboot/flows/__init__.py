"""The rooms joined: bootstrap, facts, run, nccl-test, link-map and teardown, each from one value to one result."""
