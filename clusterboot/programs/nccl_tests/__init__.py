"""The output of nccl-tests and of what prints as they do, made into records."""
