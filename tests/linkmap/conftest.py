"""The simulator of the benchmarks, and small matrices to put faults into."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
