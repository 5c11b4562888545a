"""Text as it is said: without markup, links and pictures, with units and numbers as words."""

from __future__ import annotations

import re
from collections.abc import Callable

LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
ADDRESS = re.compile(r"https?://\S+|www\.\S+")
FENCE = re.compile(r"```.*?(?:```|$)", re.S)
LINE = re.compile(r"^\s*(?:#{1,6}\s+|[-*+•]\s+|>\s*|\|?[-:| ]{3,}\|?\s*$)", re.M)
MARKS = re.compile(r"[*_~`|#<>{}\\^=]+")
PICTURES = re.compile(r"[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f\u200d]")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
TIME = re.compile(r"\b(\d{1,2}):(\d{2})\b")
UNITS = {
    "es": {
        "°C": "grados", "º": "grados", "°": "grados", "%": "por ciento", "€": "euros", "$": "dólares",
        "km/h": "kilómetros por hora", "km": "kilómetros", "cm": "centímetros", "mm": "milímetros",
        "kg": "kilos", "kWh": "kilovatios hora", "kW": "kilovatios", "W": "vatios", "min": "minutos",
        "m": "metros", "g": "gramos", "l": "litros", "h": "horas", "s": "segundos", "GB": "gigas",
        "MB": "megas",
    },
    "en": {
        "°C": "degrees", "º": "degrees", "°": "degrees", "%": "percent", "€": "euros", "$": "dollars",
        "km/h": "kilometres per hour", "km": "kilometres", "cm": "centimetres", "mm": "millimetres",
        "kg": "kilos", "kWh": "kilowatt hours", "kW": "kilowatts", "W": "watts", "min": "minutes",
        "m": "metres", "g": "grams", "l": "litres", "h": "hours", "s": "seconds", "GB": "gigabytes",
        "MB": "megabytes",
    },
}  # fmt: skip
MEASURED = {
    language: re.compile(
        rf"(\d)\s?({'|'.join(re.escape(unit) for unit in sorted(units, key=len, reverse=True))})(?![\w/])"
    )
    for language, units in UNITS.items()
}
PAID = re.compile(r"([€$])\s?(\d+(?:[.,]\d+)*)")
LINKS = {"es": "enlace", "en": "link"}
LONGEST_NUMBER = 15


def speakable(text: str, language: str) -> str:
    """The words of `text` in `es` or `en`; may be empty, when nothing in it is said."""
    text = FENCE.sub(" ", text)
    text = ADDRESS.sub(LINKS[language], LINK.sub(r"\1", text))
    text = MARKS.sub(" ", PICTURES.sub(" ", LINE.sub("", text)))
    text = PAID.sub(r"\2 \1", text)
    text = MEASURED[language].sub(lambda found: f"{found[1]} {UNITS[language][found[2]]}", text)
    if language == "es":
        text = TIME.sub(_time, text)
        text = NUMBER.sub(lambda found: _spanish(found[0]), text)
    text = " ".join(text.split())
    return text if re.search(r"\w", text) else ""


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), int(found[2])
    return f"{hour} y {minute}" if minute else f"{hour} en punto"


def _spanish(number: str) -> str:
    """A number as Spaniards say it: `1.234,5` and `3.14` both; digit by digit where it is no quantity."""
    from num2words import num2words

    say: Callable[[object], str] = lambda value: str(num2words(value, lang="es"))  # noqa: E731 - one line
    if len(number) > LONGEST_NUMBER or (number.startswith("0") and number.isdigit() and len(number) > 1):
        return " ".join(say(int(digit)) for digit in number if digit.isdigit())
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", number):
        number = number.replace(".", "")
    whole, _, part = number.replace(",", ".").partition(".")
    if not part:
        return say(int(whole))
    zeros = "cero " * (len(part) - len(part.lstrip("0")))
    rest = part.lstrip("0")
    return f"{say(int(whole))} coma {zeros}{say(int(rest)) if rest.isdigit() else ''}".strip()
