"""Who trusts whom among the nodes: planned, installed, proven, taken back."""

from clusterboot.keys.authority import BACKDATED_S
from clusterboot.keys.claims import Believed, sources_of
from clusterboot.keys.diff import unified
from clusterboot.keys.findings import LoginFinding, findings
from clusterboot.keys.install import TIMEOUT_S as INSTALL_TIMEOUT_S
from clusterboot.keys.install import RacedError, removal_section
from clusterboot.keys.install import parse as parse_install
from clusterboot.keys.install import section as install_section
from clusterboot.keys.launcher import admission, config_path, launcher_edits
from clusterboot.keys.lines import authorities, kinds, lets_launcher_in, principal, take_back, undo
from clusterboot.keys.plan import (
    HomePlan,
    distinct_names,
    homes,
    identity,
    lacks_restrict,
    member,
    plan,
    prefers_cheap_exchange,
)
from clusterboot.keys.records import OWN_DIR, PER_NODE, Edit, Member, NodeFile, NodeKey, Survey, Terms
from clusterboot.keys.remains import Remains
from clusterboot.keys.remains import parse as parse_remains
from clusterboot.keys.remains import sections as remains_sections
from clusterboot.keys.survey import parse as parse_survey
from clusterboot.keys.survey import sections as survey_sections
from clusterboot.keys.survey import usable
from clusterboot.keys.verify import LoginFailure, timed
from clusterboot.keys.verify import parse as parse_verify
from clusterboot.keys.verify import section as verify_section
from clusterboot.keys.verify import timeout_s as verify_timeout_s

__all__ = [
    "BACKDATED_S",
    "INSTALL_TIMEOUT_S",
    "OWN_DIR",
    "PER_NODE",
    "Believed",
    "Edit",
    "HomePlan",
    "LoginFailure",
    "LoginFinding",
    "Member",
    "NodeFile",
    "NodeKey",
    "RacedError",
    "Remains",
    "Survey",
    "Terms",
    "admission",
    "authorities",
    "config_path",
    "distinct_names",
    "findings",
    "homes",
    "identity",
    "install_section",
    "kinds",
    "lacks_restrict",
    "launcher_edits",
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
