"""The rooms joined: bootstrap, facts, run, nccl-test and teardown, each from one value to one result."""
