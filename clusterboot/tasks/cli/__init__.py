"""What makes a task a command: its options, its help, its words, its one document and its exit code."""
