"""What readings say, as pure functions: the background, verdicts, control charts, gains that shift."""

from sdl.analysis.background import Background
from sdl.analysis.control_chart import Chart
from sdl.analysis.group_sequential import plan_looks
from sdl.analysis.lesson_learning import learn_lesson
from sdl.analysis.verification import judge_exam, verify_replicates

__all__ = ["Background", "Chart", "judge_exam", "learn_lesson", "plan_looks", "verify_replicates"]
