"""What OpenSSH's client configuration says of a host, and what a ``ProxyCommand`` comes to."""
