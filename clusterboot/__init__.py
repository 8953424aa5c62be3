"""Bootstrap an MPI/NCCL cluster through its head node and prove its interconnect."""

__version__ = "0.1.0"
