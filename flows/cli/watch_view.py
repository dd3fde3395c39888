"""One campaign as a block of a terminal: progress, readings against targets, verdicts, notices, and alarms in colour.

Every word of people and instruments goes through ``visible``: none of them can move the cursor or hide another.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sdl.formatting import NOTHING, escape_invisible, format_duration, format_number, format_setting
from sdl.history import ReplyClass, Verdict
from sdl.reports.free_channels import NOT_HELD, free_channels
from sdl.reports.status import CampaignStatus
from sdl.reports.status_detail import AttemptLine, CampaignDetail
from sdl.space import Interval

STATES = {"RUNNING": "green", "FINISHED": "bold", "SUSPENDED": "red", "PAUSED": "yellow", "INTERRUPTED": "bold red"}
VERDICTS = {Verdict.VERIFIED: "bold green", Verdict.REFUTED: "bold red", Verdict.NOT_REACHABLE: "bold yellow"}
COUNTS = {each.value for each in ReplyClass if each.usable}


def draw_frame(seen: CampaignDetail) -> RenderableType:
    """A campaign, to be printed or refreshed."""
    title = Text(escape_invisible(seen.status.campaign), "bold")
    return Panel(Group(*_parts(seen)), title=title, title_align="left")


def _parts(seen: CampaignDetail) -> Iterator[RenderableType]:
    standing = seen.status
    if standing.alarm:
        yield Text(f"STALLED: {escape_invisible(standing.alarm)}", "bold red")
    yield _line(standing)
    if standing.budget:
        bar = Table.grid()
        bar.add_row(ProgressBar(standing.budget, min(standing.sent, standing.budget), width=60))
        yield bar
    if standing.reason and standing.at_work:
        yield Text(escape_invisible(standing.reason), "red")
    yield Text(f"waits for {escape_invisible(standing.waits_for)}" if standing.waits_for else "", "yellow")
    if seen.last:
        yield _readings(seen)
    if seen.tally:
        yield Text(seen.tally, "bold")
    for target in seen.near:
        if (found := seen.verdict(target)) is not None:
            colour = VERDICTS.get(found.verdict, "bold")
            yield Text.assemble(
                (found.verdict.value, colour), f" {escape_invisible(target.name)}: {escape_invisible(found.sentence)}"
            )
            for channel in free_channels(found, {}):
                yield Text(f"  {escape_invisible(str(channel))}", "" if channel.held != NOT_HELD else "red")
    for notice in seen.notices:
        by = f" by {escape_invisible(notice.who)}" if notice.by else ""
        yield Text(f"{_clock(notice.at)} {notice.kind.value}{by}: {escape_invisible(notice.text)}", "dim")


def _line(standing: CampaignStatus) -> Text:
    """State, requests and pace."""
    state = "INTERRUPTED" if standing.interrupted else standing.state.value
    of = "" if standing.budget is None else f" of {standing.budget}"
    words = [
        f"{standing.sent}{of} requests sent",
        *filter(None, [standing.spent]),
        *([f"round {standing.place}"] if standing.place else []),
    ]
    if standing.silent_s is not None:
        words.append(f"last reading {format_duration(standing.silent_s)} ago")
    if standing.pace.interval_s is not None:
        words.append(f"one every {format_duration(standing.pace.interval_s)}")
    return Text.assemble((state, STATES.get(state, "")), "  ", escape_invisible(" · ".join(words)))


def _readings(seen: CampaignDetail) -> Table:
    """What is wanted, then the last readings, the latest first; green within the tolerance of some target."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "", *seen.last[0].settings, *seen.channels, ""):
        made.add_column(Text(escape_invisible(column)), justify="right" if column else "left", overflow="fold")
    knobs = [""] * len(seen.last[0].settings)
    for target in seen.near:
        wishes = [target.interval(channel) if channel in target.readings else None for channel in seen.channels]
        aims = ["free" if wish is None else _aim(wish) for wish in wishes]
        margins = ["" if wish is None else _margin(wish) for wish in wishes]
        made.add_row("wanted", Text(escape_invisible(target.name)), *knobs, *aims, "", style="bold")
        made.add_row("", "", *knobs, *margins, "")
    for each in seen.last:
        made.add_row(*_row(each, seen))
    return made


def _aim(wish: Interval) -> str:
    if wish.extreme:
        return "largest" if wish.wanted > 0 else "smallest"
    return format_number(wish.wanted)


def _margin(wish: Interval) -> str:
    if wish.extreme:
        return f"±{format_number(min(wish.below, wish.above))}"
    return f"at {wish.side}" if wish.one_sided else f"±{format_number(wish.above)}"


def _row(each: AttemptLine, seen: CampaignDetail) -> Iterator[Text]:
    yield Text(_clock(each.sent_at))
    yield Text(escape_invisible(f"{each.round} {each.purpose}"))
    yield from (Text(escape_invisible(format_setting(value))) for value in each.settings.values())
    yield from (_reading(each.readings, channel, seen) for channel in seen.channels)
    reason = f": {escape_invisible(each.reason)[:60]}" if each.reason else ""
    yield Text(f"{escape_invisible(each.verdict)}{reason}", "" if each.verdict in COUNTS else "red")


def _reading(readings: Mapping[str, float | None], channel: str, seen: CampaignDetail) -> Text:
    value = readings.get(channel)
    if value is None:
        return Text(NOTHING, "dim")
    met = any(target.interval(channel).holds(value) for target in seen.near if channel in target.readings)
    return Text(format_number(value), "green" if met else "")


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%H:%M:%S}"
