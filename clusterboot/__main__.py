"""``python -m clusterboot``: the same as the ``clusterboot`` command."""

from clusterboot.tasks import main

if __name__ == "__main__":
    main()
