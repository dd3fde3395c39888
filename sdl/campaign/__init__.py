"""What a person writes down, and its check before the first request."""

from sdl.campaign.definition import Campaign, Target, slugify
from sdl.campaign.lesson import Lesson
from sdl.campaign.safety import ApprovalPart, SuspendPart
from sdl.campaign.sections import Plugin, VerificationPart
from sdl.campaign.validation import ResolvedTarget, prepare, resolve_target

__all__ = [
    "ApprovalPart",
    "Campaign",
    "Lesson",
    "Plugin",
    "ResolvedTarget",
    "SuspendPart",
    "Target",
    "VerificationPart",
    "prepare",
    "resolve_target",
    "slugify",
]
