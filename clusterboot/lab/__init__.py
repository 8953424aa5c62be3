"""A virtual cluster on this machine: namespaces, real sshd, shaped links."""
