"""The tasks of ``invoke`` in this folder: clusterboot's own."""

from invoke.main import program

from clusterboot.tasks import adopt, namespace

__all__ = ["namespace"]

adopt(program)
