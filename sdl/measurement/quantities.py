"""A number as a person types it: with a unit or without, a decimal point or a comma, thousands apart or not."""

import math
import re
import unicodedata

PREFIXES = {"p": -12, "n": -9, "µ": -6, "μ": -6, "u": -6, "m": -3, "c": -2, "d": -1, "": 0, "k": 3, "M": 6, "G": 9}
"""Powers of ten before a unit; of the two letters for micro one is a Greek mu."""
NUMBER = re.compile(r"\s*([-+−]?[\d.,'’ \u00a0\u2009\u202f]*\d[.,]?(?:[eE][-+−]?\d+)?)\s*(.*?)\s*", re.DOTALL)
GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}([.,'])\d{3}(?:\1\d{3})*")
"""Groups of three with one mark between them: if it stands once, a comma or a point may be that of the decimals."""
SPACES = dict.fromkeys(map(ord, "’ \u00a0\u2009\u202f"), "'") | {ord("−"): "-"}
LITRES = re.compile(r"(?:(?<=\b[pnμumcdk])|\b)l\b")
DEGREES = dict.fromkeys(map(ord, "º˚"), "°")
AMBIGUOUS = "may be {} or {}: leave the mark of the thousands out, or write one decimal more"


def read_quantity(text: str, unit: str, *, comma: bool = False, typed_in: str | None = None) -> float:
    """Read what a person typed as a number in a unit.

    Args:
        text: As it was typed.
        unit: Of the channel or knob; a value in the same unit with another prefix is converted.
        comma: Whether the page around it is known to write decimals with a comma.
        typed_in: Unit of a number that has none beside it; ``unit`` by default.

    Raises:
        ValueError: saying what is wrong with it, in words that follow a name.

    >>> read_quantity("12,5 mV", "V"), read_quantity("1.234,5", ""), read_quantity("2,345", "", comma=True)
    (0.0125, 1234.5, 2.345)
    """
    own = unit if unit[:1].isdigit() and text.rstrip().endswith(f" {unit}") else ""  # such as 1/s
    match = NUMBER.fullmatch(unicodedata.normalize("NFKC", text.translate(DEGREES).rstrip().removesuffix(own)))
    if match is None:
        raise ValueError(f"needs a number{f' in {unit}' if unit else ''}, got {text.strip()!r}")
    value = _read_number(match[1].translate(SPACES), comma)
    if not math.isfinite(value):
        raise ValueError(f"needs a finite number, got {text.strip()!r}")
    said = match[2] or typed_in
    return value if said is None else convert_unit(value, said, unit)


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


def convert_unit(value: float, typed: str, unit: str) -> float:
    """Return a value in the unit of a channel that was typed in the same unit, perhaps with another prefix.

    Raises:
        ValueError: it is another unit, in words that follow a name.
    """
    said, own = _one_spelling(typed), _one_spelling(unit)
    if said == own:
        return value
    squared = re.match(r"[^\W\d_]+(?:\^?\d|²|³)", unit)
    slipped = {said[:1], own[:1]} == {"m", "M"}  # nobody means a thousand million of it
    powers = {
        PREFIXES[prefix] - PREFIXES[other]
        for prefix in PREFIXES
        for other in PREFIXES
        if said.startswith(prefix) and own.startswith(other) and said[len(prefix) :] == own[len(other) :] != ""
    }
    if len(powers) != 1 or squared or slipped:
        raise ValueError(f"is expected {f'in {unit}' if unit else 'without a unit'}, got {typed!r}")
    power = powers.pop()
    return value * 10.0**power if power >= 0 else value / 10.0**-power


def is_unit(typed: str, unit: str) -> bool:
    """Return whether numbers typed in one unit can be given in another."""
    try:
        convert_unit(1.0, typed, unit)
    except ValueError:
        return False
    return True


def _one_spelling(unit: str) -> str:
    """A unit as others spell it, too: litres with either letter, degrees with any of the small circles."""
    return LITRES.sub("L", unicodedata.normalize("NFKC", unit.translate(DEGREES)))
