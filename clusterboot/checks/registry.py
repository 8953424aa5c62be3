"""Which checks are made when, in this order: a new one is a file beside this, and a line here."""

from __future__ import annotations

from typing import Any

from .certificates import CertificatesHold
from .check import Check
from .keys import KeysThere
from .memlock import MemoryLockable
from .ports import PortsOpen
from .program_files import ProgramsThere
from .slot_count import SlotsEnough
from .subjects import Planned, SurveyedNodes

#: Once the nodes have said what they are, before anything depends on their logins.
SURVEYED: tuple[Check[SurveyedNodes, Any], ...] = (KeysThere(), CertificatesHold())
#: Before a program is given to the nodes.
PLANNED: tuple[Check[Planned, Any], ...] = (SlotsEnough(), MemoryLockable(), PortsOpen())
#: Once they have it, before it is launched.
EQUIPPED: tuple[Check[Planned, Any], ...] = (ProgramsThere(),)
