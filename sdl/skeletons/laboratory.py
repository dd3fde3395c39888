"""A laboratory to begin with: its file, a first campaign, and what is not to be kept under version control."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdl.campaign.definition import slugify
from sdl.errors import InvalidInput
from sdl.skeletons.campaign import campaign_text
from sdl.skeletons.rendering import render, write_new

LABORATORY, CAMPAIGN, IGNORED = "laboratory.toml", "first.toml", ".gitignore"


def write_laboratory(
    folder: Path, plugin: str, options: Mapping[str, Any], readings: Mapping[str, float]
) -> list[Path]:
    """Write the files of a laboratory with one instrument, which is built and not asked for anything.

    Args:
        folder: Where they are to lie.
        plugin: Name of the instrument, which is called so in the laboratory too.
        options: Options of the instrument.
        readings: What the first campaign wants, by channel; as ``campaign_text`` has it without any.

    Returns:
        The files.

    Raises:
        InvalidInput: listing what is wrong with the instrument, an option or a reading, or every file that is there
            already; nothing is written then.
    """
    campaign = campaign_text("first", plugin, options, readings)
    name = slugify(plugin)
    section = campaign[campaign.index("[instrument]") : campaign.index("[[targets]]")].strip()
    section = section.replace("[instrument]", f"[instruments.{name}]").replace(
        "[[instrument.", f"[[instruments.{name}."
    )
    texts = {
        LABORATORY: render("laboratory.toml", name=name, instrument=section, campaign=CAMPAIGN),
        CAMPAIGN: campaign,
        IGNORED: "sdl-data/\n",
    }
    if there := [str(folder / file) for file in texts if (folder / file).exists()]:
        raise InvalidInput(
            [f"{file} exists and is left as it is: give another folder, or move it away" for file in there]
        )
    for file, text in texts.items():
        write_new(folder / file, text)
    return [folder / file for file in texts]
