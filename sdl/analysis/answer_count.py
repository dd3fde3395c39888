"""What came of a target of which several answers are wanted: how many are verified, of which families."""

from collections.abc import Sequence

from sdl.campaign.definition import Target
from sdl.history import Finding, Verdict


def passed_findings(target: Target, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of the candidates that are answers, in the order of their exams."""
    return [finding for finding in findings if finding.target == target.name and finding.verdict is Verdict.VERIFIED]


def family_of(finding: Finding) -> int:
    """Return the number of the family of an answer, from 1 on."""
    return 1 + (finding.facts.family or 0)


def count_answers(target: Target, findings: Sequence[Finding]) -> str:
    """Say how many answers are verified, in words."""
    passed = passed_findings(target, findings)
    of_wanted = "" if target.answers == "all" else f" of {target.answers}"
    families = len({family_of(finding) for finding in passed})
    kinds = f", of {families} famil{'y' if families == 1 else 'ies'}" if passed else ""
    return f"{len(passed)}{of_wanted} answer{'' if (len(passed), of_wanted) == (1, '') else 's'} verified{kinds}"


def concluding_verdict(target: Target, findings: Sequence[Finding]) -> tuple[Verdict, str]:
    """Return the verdict on a target as a whole and a sentence, once some candidate was judged or it was given up."""
    last = [finding for finding in findings if finding.target == target.name][-1]
    if target.answers == 1:
        return last.verdict, last.sentence
    passed = passed_findings(target, findings)
    if target.met_by(len(passed)):
        verdict = Verdict.VERIFIED
    else:
        verdict = Verdict.INCONCLUSIVE if last.verdict is Verdict.VERIFIED else last.verdict
    return verdict, last.sentence if last.settings is None or not passed else count_answers(target, findings)
