"""Who trusts whom among the nodes: planned, installed, proven, taken back."""

from .blaming import LoginFinding, findings
from .claims import Believed, sources_of
from .homes.diff import unified
from .homes.install import TIMEOUT_S as INSTALL_TIMEOUT_S
from .homes.install import RacedError, removal_section
from .homes.install import parse as parse_install
from .homes.install import section as install_section
from .homes.known import OWN_DIR, Edit, Member, NodeKey, Survey, Terms
from .homes.remains import Remains
from .homes.remains import parse as parse_remains
from .homes.remains import sections as remains_sections
from .homes.tagged_lines import authorities, kinds, lets_launcher_in, principal, take_back, undo
from .plan import (
    HomePlan,
    homes,
    identity,
    lacks_restrict,
    member,
    plan,
    prefers_cheap_exchange,
)
from .survey import parse as parse_survey
from .survey import sections as survey_sections
from .survey import usable
from .verify import LoginFailure, timed
from .verify import parse as parse_verify
from .verify import section as verify_section
from .verify import timeout_s as verify_timeout_s

__all__ = [
    "INSTALL_TIMEOUT_S",
    "OWN_DIR",
    "Believed",
    "Edit",
    "HomePlan",
    "LoginFailure",
    "LoginFinding",
    "Member",
    "NodeKey",
    "RacedError",
    "Remains",
    "Survey",
    "Terms",
    "authorities",
    "findings",
    "homes",
    "identity",
    "install_section",
    "kinds",
    "lacks_restrict",
    "lets_launcher_in",
    "member",
    "parse_install",
    "parse_remains",
    "parse_survey",
    "parse_verify",
    "plan",
    "prefers_cheap_exchange",
    "principal",
    "remains_sections",
    "removal_section",
    "sources_of",
    "survey_sections",
    "take_back",
    "timed",
    "undo",
    "unified",
    "usable",
    "verify_section",
    "verify_timeout_s",
]
