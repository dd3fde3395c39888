"""Names that a person does not tell apart: capitals, accents, letters of other alphabets, the digit 1 and the letter l.

After the confusable characters of Unicode Technical Standard 39, as far as they are letters of Latin shape.
"""

import unicodedata

CYRILLIC = (
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455\u0456\u0458\u04af\u04bb\u04cf"
    "\u0501\u051b\u051d\u0475",
    "abekmhopctyxsijyhldqwv",
)
GREEK = ("\u03b1\u03b3\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9", "ayeniknoptuxw")
CAPITALS = (
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u0410\u0412\u0415\u041a"
    "\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u04ae\u04c0\u051a\u051c",
    "ABEZHIKMNOPTYXABEKMHOPCTYXSIJYIQW",
)
OTHERS = ("\u0131\u0251\u0261\u0578\u057d\u0570\u0566\u0585\u0581\u0575", "iagnuhqogj")
"""Of Latin itself, and Armenian."""
SHAPES = str.maketrans(*("".join(part) for part in zip(CYRILLIC, GREEK, CAPITALS, OTHERS, strict=True)))
STROKES = str.maketrans("I1|0", "lllO")


def look_alike(one: str, other: str) -> bool:
    r"""Return whether a person may take one name for the other.

    >>> [look_alike("Ian", other) for other in ("IAN", "lan", "\u0406\u0430n", "I\u00e4n", "Jan")]
    [True, True, True, True, False]
    """
    return not _seen(one).isdisjoint(_seen(other))


def _seen(name: str) -> set[str]:
    """The name without capitals, and as it is drawn, both in plain Latin letters as far as it looks like these."""
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(SHAPES)
    return {" ".join(plain.casefold().split()), plain.translate(STROKES).replace("rn", "m")}
