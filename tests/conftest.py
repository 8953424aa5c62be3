from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from repetition import share

from clusterboot import lab as labs
from operator_fixture import Operator

# How long a machine takes to draw or to try an example is no test.
settings.register_profile(
    "clusterboot", max_examples=share(50), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("clusterboot")

_obstacle = cache(labs.obstacle)
_ROOTS = "/var/lib/clusterboot-lab-"


def pytest_configure() -> None:
    """End on SIGTERM as on an interrupt, so that what tests started is taken down.

    A shell without job control starts what it puts in the background with SIGINT ignored. The
    commands under test would inherit that, and then rightly be deaf to what tests send them.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip lab tests, with the reason, where no lab can run; but fail them where CI says it is CI."""
    if item.get_closest_marker("lab") is None:
        return
    reason = _obstacle(slurm=item.get_closest_marker("slurm") is not None)
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the lab tests, and {reason}", pytrace=False)
    pytest.skip(reason)


def _unique_name() -> str:
    return f"t-{os.getpid()}-{secrets.token_hex(3)}"


@pytest.fixture(scope="session")
def lab_root() -> Iterator[str]:
    """A place of this session's own for labs, so that a lab somebody else runs is not seen by tests."""
    _take_down_orphans()
    root = f"{_ROOTS}{_unique_name()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTERBOOT_LAB_ROOT", root)
        yield root


def _take_down_orphans() -> None:
    """Take down the labs of sessions that were killed before they could do so themselves."""
    for root in Path(_ROOTS).parent.glob(f"{Path(_ROOTS).name}t-*-*"):
        pid = root.name.split("-")[-2]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CLUSTERBOOT_LAB_ROOT", str(root))
                for folder in root.glob("*/"):
                    labs.down(folder.name)
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def lab(lab_root: str) -> Iterator[labs.Lab]:
    """One lab of 8 nodes for all tests of the session: leave it as you find it."""
    name = _unique_name()
    try:
        yield labs.up(name, nodes=8)
    finally:
        labs.down(name)


@contextmanager
def _labs() -> Iterator[Callable[..., labs.Lab]]:
    names: list[str] = []

    def make(
        nodes: int = 2, rate: str = "1gbit", shared_home: bool = False, user: str = "ubuntu", **slurm: int
    ) -> labs.Lab:
        names.append(_unique_name())
        return labs.up(names[-1], nodes=nodes, rate=rate, shared_home=shared_home, user=user, **slurm)

    try:
        yield make
    finally:
        for name in names:
            labs.down(name)


@pytest.fixture
def make_lab(lab_root: str) -> Iterator[Callable[..., labs.Lab]]:
    """A function that starts labs of the test's own: ``make_lab(nodes=2, rate="1gbit")``."""
    with _labs() as make:
        yield make


@pytest.fixture(scope="module")
def module_lab(lab_root: str) -> Iterator[Callable[..., labs.Lab]]:
    """The same for labs that the tests of one file share."""
    with _labs() as make:
        yield make


@pytest.fixture(scope="module")
def bootstrapped(
    module_lab: Callable[..., labs.Lab], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], tuple[labs.Lab, Operator]]:
    """A function that starts a lab of so many nodes for one file's tests, and bootstraps it."""

    def make(nodes: int) -> tuple[labs.Lab, Operator]:
        lab = module_lab(nodes=nodes)
        operator = Operator(tmp_path_factory.mktemp("operator"))
        operator.document("bootstrap", "--cluster", str(lab.cluster_file))
        return lab, operator

    return make


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Somebody at a command line, with a home and a working folder that are nobody else's."""
    return Operator(tmp_path)
