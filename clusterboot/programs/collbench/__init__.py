"""The project's own benchmark: its source, its build, its copies, its output of pairs."""
