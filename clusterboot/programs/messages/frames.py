"""Messages between two rules of dashes, as Open MPI, PRRTE and PMIx print all that their help files have.

Sources: ``opal/util/show_help.c`` of Open MPI and ``src/util/pmix_show_help.c`` of PMIx (PRRTE prints
through it): the rule has 74 dashes. What stands between two of them is one message of the launcher or of
the library, known or not. Most end a run; those that do not say so, in few words.
"""

from __future__ import annotations

import re

from .where import over_lines

RULE = "-" * 74
# What stands for a rule in a text whose lines were joined.
MARK = "\f"
# No help text is longer; between rules that are farther apart something else was printed.
LONGEST = 4000
_SHORTEST = 10
# A message begins with neither a process's name nor a tag; the launchers name themselves.
_BEGIN = r"(?:(?i:error|warning|mpirun|prterun|prun|prte):|(?![\w.@/-]+:|\[))"
_BETWEEN = re.compile(
    rf"{MARK}\n+(?P<said>{_BEGIN}[^{MARK}]{{{_SHORTEST},{LONGEST}}}?)\n*(?:{MARK}|(?P<cut>\Z))"
)

GOES_ON = re.compile(
    over_lines(
        "(?:job|[Ww]e|[Oo]peration|program|[Pp]rocessing|[Ee]xecution|application) will (?:continue|proceed)"
        "|will proceed|[Ww]ill continue attempting|(?:attempt|try|be able) to continue|[Cc]ontinuing"
        "|ly a warning|warning only|is a warning and|terminated normally, (?![^\f]*aborted)"
    )
)
_GIVES_UP = re.compile(
    over_lines(
        r"(?:not |un)able to (?:proceed|continue)|(?:cannot|could not) continue|job failed to map|is refused"
        r"|can(?:not|'t) be (?:executed|launched|done)|will (?:now |therefore )?abort\b|going to abort"
        r"|likely to abort|been aborted|Aborting|try again|[Pp]lease (?:correct|specify)|fatal error\b"
    )
)
_REMARKS = re.compile(
    over_lines(
        r"^W(?:AR|arning)|\bwarning|will (?:not )?be (?:used|skipped|closed)|(?<!silently )ignored"
        r"|will ignore|, ignoring\.|(?:[Aa]|been|is) deprecated"
        r"|(?:is|been|be) (?:therefore )?(?:dis|deactiv)a(?:bl|t)ed"
        r"|\. Disabling|Deactivating|[Ff]all(?:ing)? back|[Ss]kip(?:ping)?\b|[Dd]efault(?:ing|ed) to"
        r"|[Uu]se default|Setting back|[Ll]imiting to|been reset|protocol cannot be used"
        r"|perform(?:ance| poorly)|not used by default|but not freed|unexpected behavior"
        r"|will map the application by default|therefore assuming|operation is expected|remove a file"
        r"|has detected external|may disappear|\*will\* disappear"
    )
)


# A message of failure has some such word, a banner that somebody printed has none.
_COMPLAINS = re.compile(
    r"(?i)\b(?:no[tn]?|none|un\w+|in(?:valid|sufficient|correct|compatible|ternal)|fail\w*|err(?:or|oneous)\w*"
    r"|cannot|could|conflict\w*|exceed\w*|missing|lack\w*|abort\w*|terminat\w*|killed|bad|too|than|only|must"
    r"|without|wrong|lost|malformed|mis\w*match\w*|instead|problem|die[ds]|dead|refused|stale|signal|stalled|requires?"
    r"|required|attempt\w*|illegal|negative|improperly|already|twice|allocation request)\b|n't\b"
)


def frames(text: str, *, whole: bool) -> list[tuple[int, int]]:
    """Find the messages between rules: where each begins and ends.

    Parameters: joined lines with :data:`MARK` for each rule; whether the text ends where the log does: a
    last message may then lack its second rule.
    """
    if MARK not in text:
        return []
    return [each.span("said") for each in _BETWEEN.finditer(text) if whole or each["cut"] is None]


def ends_a_run(said: str) -> bool:
    """Tell whether what stands between two rules is why a run ended, and no remark on one that goes on."""
    if GOES_ON.search(said):
        return False
    return gives_up(said) or (_REMARKS.search(said) is None and _COMPLAINS.search(said) is not None)


def gives_up(said: str) -> bool:
    """Tell whether a message says in so many words that the run cannot go on."""
    return _GIVES_UP.search(said) is not None
