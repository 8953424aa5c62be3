"""What the nodes are: each fact a shell script and a pure reading of what it prints."""
