"""What Prefect's UI shows of a campaign: progress, observations, verdicts and a figure, each under one key.

An artifact is made once by a run and then updated in place, so that pages do not pile up; verdicts alone are kept one
by one, as versions of their key. All text of people and instruments is escaped: the UI renders Markdown.
"""

import asyncio
import html
import json
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import get_client, runtime
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from flows import environment
from flows.ui.events import make_harmless
from sdl.analysis.control_chart import Chart
from sdl.campaign.definition import slugify
from sdl.history import Entry, Finding
from sdl.ledger.ledger import Ledger
from sdl.reports import figures
from sdl.reports.campaign_page import draw_targets_figure
from sdl.reports.free_channels import free_channels

ROWS = 500
"""Observations in the table, at most; the report has them all."""
CELLS = 20_000
"""Cells of the table: Prefect refuses an artifact of a million and a half characters."""

_made: dict[tuple[str, str], UUID] = {}
"""Artifacts that a run of this process has made, by the number of the run and their key."""


def escape_markdown(text: str) -> str:
    """Return a text that Markdown and HTML show as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", html.escape(text, quote=False))  # &#x27; has a # in it


async def show_progress(campaign: str, sent: int, budget: int) -> None:
    """Show the share of the budget that is spent."""
    share = min(100.0, 100 * sent / budget)
    await _show(f"{campaign}-progress", "progress", share, f"{sent} of {budget} requests sent")


async def show_pages(campaign: str) -> None:
    """Show where the report of a campaign and the wall are, if 'sdl up' has these pages."""
    if report := environment.wall_page(campaign):
        wall = f"{environment.wall_page()}#{campaign}"
        await _show(
            f"{campaign}-pages", "markdown", f"[Report]({report}) and [wall]({wall})", "its report, and the wall"
        )


async def show_observations(ledger: Ledger, campaign: str) -> None:
    """Show the last requests and what became of them."""
    rows, about = await asyncio.to_thread(_rows, ledger, campaign)
    await _show(f"{campaign}-observations", "table", json.dumps(rows), f"{about} and what became of each")


async def show_targets(ledger: Ledger, campaign: str) -> None:
    """Show targets against what was measured, where there is something to compare."""
    figure = await asyncio.to_thread(draw_targets_figure, ledger, campaign)
    if figure is not None:
        await _show(f"{campaign}-targets", "image", figure, "targets against measured, with tolerance bands")


async def show_verdict(ledger: Ledger, campaign: str, finding: Finding) -> None:
    """Show the verdict on a candidate, with its numbers."""
    entry = await asyncio.to_thread(ledger.entry, campaign)
    text = _verdict(entry, finding)
    about = f"{escape_markdown(finding.target)}: {finding.verdict}"
    await acreate_markdown_artifact(text, f"{campaign}-verdict", about)


async def show_control_chart(identity: str, charts: Sequence[Chart]) -> None:
    """Show the gains of an instrument over its calibrations, and their band."""
    figure = await asyncio.to_thread(figures.draw_control_charts, charts)
    await _show(
        f"control-chart-{slugify(identity)}", "image", figure, f"gains of {escape_markdown(identity)}, and their band"
    )


async def _show(key: str, kind: str, data: Any, description: str) -> None:
    """Make an artifact of the run, or bring the one that it has made up to date."""
    run = runtime.flow_run.id or ""
    async with get_client() as client:
        if (artifact := _made.get((run, key))) is not None:
            await client.update_artifact(artifact, ArtifactUpdate(data=data, description=description))
            return
        whose = UUID(run) if run else None
        new = ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=whose)
        _made[run, key] = (await client.create_artifact(new)).id


def _verdict(entry: Entry, finding: Finding) -> str:
    lines = [f"# {finding.verdict}: {escape_markdown(finding.target)}", "", escape_markdown(finding.sentence), ""]
    if finding.settings is not None:
        named = entry.space.shown_settings(finding.settings)
        rows = (f"| {escape_markdown(knob)} | {_cell(setting)} |" for knob, setting in named.items())
        lines += ["| knob | setting |", "|---|---|", *rows]
    if free := free_channels(finding, {}):
        lines += ["", "| left free | foretold | measured | interval |", "|---|---|---|---|"]
        cells = ((each.channel, each.foretold, each.measured, f"{each.level} {each.held}") for each in free)
        lines += [f"| {' | '.join(map(escape_markdown, row))} |" for row in cells]
    if report := environment.wall_page(entry.name):
        lines += ["", f"[Report]({report})"]
    return "\n".join(lines)


def _cell(setting: float | str) -> str:
    return escape_markdown(setting) if isinstance(setting, str) else f"{setting:.5g}"


def _rows(ledger: Ledger, campaign: str) -> tuple[list[dict[str, Any]], str]:
    """Rows of the table, and which they are, in words."""
    entry = ledger.entry(campaign)
    most = max(min(ROWS, CELLS // (entry.space.d + entry.space.p)), 1)
    rows = [_row(entry, attempt) for attempt in ledger.last_attempts(entry.id, most)]
    return rows, f"the last {most} requests" if len(rows) == most else "every request"


def _row(entry: Entry, attempt: dict[str, Any]) -> dict[str, Any]:
    space = entry.space
    readings = attempt["readings"] or [None] * space.p
    place = {key: attempt[key] for key in ("seq", "round", "purpose", "verdict")}
    shown = space.shown_settings(attempt["settings"])
    settings = {name: value if isinstance(value, str) else round(value, 5) for name, value in shown.items()}
    named = dict(zip(space.channel_names, readings, strict=True))
    return {**place, "reason": make_harmless(attempt["reason"]), **settings, **named}
