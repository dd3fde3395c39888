"""What Prefect's UI shows of a campaign: progress, observations, verdicts and a figure, each under one key.

An artifact of a known key becomes its newest version, so that pages are updated and do not pile up. All text of
people and instruments is escaped: the UI renders Markdown.
"""

import asyncio
import html
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import httpx
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from flows.session import Session
from sdl import figures
from sdl.campaign import slug
from sdl.control_chart import Chart
from sdl.history import Finding
from sdl.report import targets_figure

ROWS = 500
"""Observations in the table; the report has them all."""
PROGRESS_S = 1.0


log = logging.getLogger(__name__)

Given = ParamSpec("Given")


def dispensable(show: Callable[Given, Awaitable[None]]) -> Callable[Given, Awaitable[None]]:
    """Let a campaign go on where Prefect's server is gone: the truth is in the ledger."""

    @wraps(show)
    async def tolerant(*args: Given.args, **options: Given.kwargs) -> None:
        try:
            await show(*args, **options)
        except httpx.TransportError as error:
            log.warning("not shown in Prefect, whose server does not answer: %s", error)

    return tolerant


def escaped(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", html.escape(text))


@dispensable
async def progress(session: Session) -> None:
    """Share of the budget that is spent, at most once a second: an update costs as much as many readings."""
    if time.monotonic() < session.progress_due:
        return
    await _show_progress(session)
    session.progress_due = time.monotonic() + PROGRESS_S


async def _show_progress(session: Session) -> None:
    sent = session.ledger.sent(session.entry.id)
    share, text = 100 * sent / session.campaign.budget, f"{sent} of {session.campaign.budget} requests sent"
    if session.progress_artifact is None:
        session.progress_artifact = await acreate_progress_artifact(share, _key(session, "progress"), text)
    else:
        await aupdate_progress_artifact(session.progress_artifact, share, text)


@dispensable
async def verdict(session: Session, finding: Finding) -> None:
    """The verdict on a candidate, with its numbers."""
    lines = [f"# {finding.verdict}: {escaped(finding.target)}", escaped(finding.sentence)]
    if finding.settings is not None:
        named = session.entry.space.named_settings(finding.settings)
        lines += ["| knob | setting |", "|---|---|", *(f"| {escaped(k)} | {v:.5g} |" for k, v in named.items())]
    text = "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])
    await acreate_markdown_artifact(text, _key(session, "verdict"), f"{finding.target}: {finding.verdict}")


@dispensable
async def results(session: Session) -> None:
    """The last progress, observations, and targets against what was measured."""
    await _show_progress(session)
    last = session.ledger.sendings(session.entry.id).rows[-ROWS:]
    rows = [_row(session, attempt) for attempt in session.ledger.trail(session.entry.id, last.tolist())]
    await acreate_table_artifact(rows, _key(session, "observations"), "every request and what became of it")
    figure = targets_figure(session.ledger, session.entry.name)
    if figure is not None:
        await acreate_image_artifact(figure, _key(session, "targets"), "targets against measured, with tolerance bands")


@dispensable
async def control_chart(identity: str, charts: Sequence[Chart]) -> None:
    """The gains of an instrument over its calibrations, and their band."""
    figure = await asyncio.to_thread(figures.control, charts)
    await acreate_image_artifact(figure, f"control-chart-{slug(identity)}", f"gains of {identity}, and their band")


def _row(session: Session, attempt: dict[str, Any]) -> dict[str, Any]:
    space = session.entry.space
    readings = attempt["readings"] or [None] * space.p
    place = {key: attempt[key] for key in ("seq", "round", "purpose", "verdict", "reason")}
    settings = {name: round(value, 5) for name, value in zip(space.knob_names, attempt["settings"], strict=True)}
    return place | settings | dict(zip(space.channel_names, readings, strict=True))


def _key(session: Session, what: str) -> str:
    return f"{session.entry.name}-{what}"
