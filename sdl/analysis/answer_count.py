"""What came of a target of which several answers are wanted: how many are verified, of which families."""

from collections.abc import Sequence

from sdl.campaign.definition import Target
from sdl.history import Finding, Verdict


def passed_findings(target: Target, findings: Sequence[Finding]) -> list[Finding]:
    """The findings of the candidates that are answers, in the order of their exams."""
    return [each for each in findings if each.target == target.name and each.verdict is Verdict.VERIFIED]


def family_of(finding: Finding) -> int:
    """Number of the family of an answer, from 1 on."""
    return 1 + (finding.facts.family or 0)


def count_answers(target: Target, findings: Sequence[Finding]) -> str:
    """How many answers are verified, in words."""
    found = passed_findings(target, findings)
    wanted = "" if target.answers == "all" else f" of {target.answers}"
    families = len({family_of(each) for each in found})
    kinds = f", of {families} famil{'y' if families == 1 else 'ies'}" if found else ""
    return f"{len(found)}{wanted} answer{'' if (len(found), wanted) == (1, '') else 's'} verified{kinds}"


def concluding_verdict(target: Target, findings: Sequence[Finding]) -> tuple[Verdict, str]:
    """The verdict on a target as a whole, and a sentence, once some candidate was judged or it was given up."""
    last = [each for each in findings if each.target == target.name][-1]
    if target.answers == 1:
        return last.verdict, last.sentence
    found = passed_findings(target, findings)
    if target.met_by(len(found)):
        verdict = Verdict.VERIFIED
    else:
        verdict = Verdict.INCONCLUSIVE if last.verdict is Verdict.VERIFIED else last.verdict
    return verdict, last.sentence if last.settings is None or not found else count_answers(target, findings)
