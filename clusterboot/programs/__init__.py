"""What is run: nccl-tests and the project's own collbench; their options, and what they print."""
