"""A number as a person types it: with a unit or without, a decimal point or a comma, thousands apart or not."""

import math
import re

PREFIXES = {"p": -12, "n": -9, "µ": -6, "μ": -6, "u": -6, "m": -3, "c": -2, "d": -1, "": 0, "k": 3, "M": 6, "G": 9}
"""Powers of ten before a unit; of the two letters for micro one is a Greek mu."""
NUMBER = re.compile(r"\s*([-+−]?[\d.,'’ \u00a0\u2009\u202f]*\d[.,]?(?:[eE][-+−]?\d+)?)\s*(.*?)\s*", re.DOTALL)
GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}([.,'])\d{3}(?:\1\d{3})*")
"""Groups of three with one mark between them: if it stands once, a comma or a point may be that of the decimals."""
SPACES = dict.fromkeys(map(ord, "’ \u00a0\u2009\u202f"), "'") | {ord("−"): "-"}
AMBIGUOUS = "may be {} or {}: leave the mark of the thousands out, or write one decimal more"


def read_quantity(text: str, unit: str, *, comma: bool = False) -> float:
    """Read what a person typed as a number in a unit.

    Args:
        text: As it was typed.
        unit: Of the channel or knob; a value in the same unit with another prefix is converted.
        comma: Whether the page around it is known to write decimals with a comma.

    Raises:
        ValueError: saying what is wrong with it, in words that follow a name.

    >>> read_quantity("12,5 mV", "V"), read_quantity("1.234,5", ""), read_quantity("2,345", "", comma=True)
    (0.0125, 1234.5, 2.345)
    """
    own = unit if unit[:1].isdigit() and text.rstrip().endswith(f" {unit}") else ""  # such as 1/s
    match = NUMBER.fullmatch(text.rstrip().removesuffix(own))
    if match is None:
        raise ValueError(f"needs a number{f' in {unit}' if unit else ''}, got {text.strip()!r}")
    value = _read_number(match[1].translate(SPACES), comma)
    if not math.isfinite(value):
        raise ValueError(f"needs a finite number, got {text.strip()!r}")
    return value if not match[2] else _converted(value, match[2], unit)


def has_decimal_comma(text: str) -> bool:
    """Return whether a number is typed in a way that only a decimal comma explains, such as ``12,5``.

    >>> [has_decimal_comma(text) for text in ("12,5", "0,125", "1.234,56", "1,234", "12.5", "a, b")]
    [True, True, True, False, False, False]
    """
    match = NUMBER.fullmatch(text)
    digits = match[1].translate(SPACES) if match else ""
    return digits.count(",") == 1 and digits.rfind(".") < digits.find(",") and not GROUPED.fullmatch(digits)


def _read_number(digits: str, comma: bool) -> float:
    mantissa, _, power = digits.replace("E", "e").partition("e")
    grouped = GROUPED.fullmatch(mantissa)
    if grouped and mantissa.count(grouped[1]) == 1 and grouped[1] in ",.":
        joined, apart = mantissa.replace(grouped[1], ""), mantissa.replace(grouped[1], ".")
        if (grouped[1] == ",") is not comma:  # a point where decimals have commas, or a comma where nothing says so
            raise ValueError(AMBIGUOUS.format(apart, joined))
        mantissa = apart
    elif grouped:
        mantissa = mantissa.replace(grouped[1], "")
    else:
        whole, mark, decimals = _split_decimals(mantissa)
        parts = re.split(r"[.,']", whole)
        if any(len(part) != 3 for part in parts[1:]) or (len(parts) > 1 and not 1 <= len(parts[0].lstrip("+-")) <= 3):
            raise ValueError(f"needs a number, got {digits!r}")
        mantissa = "".join(parts) + ("." if mark else "") + decimals
    try:
        return float(f"{mantissa}e{power or 0}")
    except ValueError:
        raise ValueError(f"needs a number, got {digits!r}") from None


def _split_decimals(mantissa: str) -> tuple[str, str, str]:
    """The part before the mark of the decimals, that mark, and the part behind it."""
    last = max(mantissa.rfind(","), mantissa.rfind("."))
    if last < 0 or mantissa.count(mantissa[last]) > 1 or "'" in mantissa[last:]:
        return mantissa, "", ""
    return mantissa[:last], mantissa[last], mantissa[last + 1 :]


def _converted(value: float, typed: str, unit: str) -> float:
    """The value in the unit of the channel."""
    if typed == unit:
        return value
    squared = re.match(r"[^\W\d_]+(?:\^?\d|²|³)", unit)
    powers = {
        PREFIXES[mine] - PREFIXES[own]
        for mine in PREFIXES
        for own in PREFIXES
        if typed.startswith(mine) and unit.startswith(own) and typed[len(mine) :] == unit[len(own) :] != ""
    }
    if len(powers) != 1 or squared:
        raise ValueError(f"is expected {f'in {unit}' if unit else 'without a unit'}, got {typed!r}")
    power = powers.pop()
    return value * 10.0**power if power >= 0 else value / 10.0**-power
