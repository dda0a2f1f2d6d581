"""Fields of the forms that propose: lists with one item a line, spans of time in words, moments in the portal's time zone."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

LONGEST: Final = 2048
# Of a field that holds many lines.
LARGEST: Final = 64 * 1024
_UNITS: Final = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_PART: Final = re.compile(r"(\d{1,9})\s*(day|hour|minute|second)s?", re.IGNORECASE)


class Text(forms.CharField):
    """One line of text, kept as it was typed: only blanks around it go."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", LONGEST)
        attrs = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        options.setdefault("widget", forms.TextInput(attrs=attrs))
        super().__init__(**options)


class Lines(forms.CharField):
    """A list of texts, one a line. Cleans to a list; empty lines go."""

    def __init__(self, *, rows: int = 3, **options: Any) -> None:
        options.setdefault("max_length", LARGEST)
        options.setdefault("widget", forms.Textarea(attrs={"rows": rows, "spellcheck": "false", "autocapitalize": "off"}))
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        """A list as lines."""
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        """The lines."""
        text = super().clean(value)
        return [line.strip() for line in text.splitlines() if line.strip()]


class Span(forms.CharField):
    """A span of time in words, such as `7 days` or `1 hour 30 minutes`; a bare number is seconds. Cleans to seconds."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("max_length", 100)
        options.setdefault("widget", forms.TextInput(attrs={"autocomplete": "off"}))
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        """Seconds in words."""
        return in_words(value) if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """Seconds, or None when it may be left empty and is."""
        text = super().clean(value)
        if not text:
            return None
        if re.fullmatch(r"\d{1,9}", text):
            return int(text)
        if _PART.sub("", text).strip(" ,"):
            raise ValidationError("Enter a span such as 7 days, 1 hour 30 minutes, or a number of seconds.")
        return sum(int(count) * _UNITS[unit.lower()] for count, unit in _PART.findall(text))


def in_words(seconds: int) -> str:
    """Seconds as the words that `Span` reads: `1 hour 30 minutes`, `0 seconds`."""
    parts = []
    for unit, size in _UNITS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'s' if count != 1 else ''}")
    return " ".join(parts) or "0 seconds"


class Moment(forms.DateTimeField):
    """A date and time in the portal's time zone, to the minute."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(**{"widget": widget, **options})


def zone_name() -> str:
    """The portal's time zone, which the help of a `Moment` names."""
    return timezone.get_current_timezone_name()


def same_minute(one: datetime | None, other: datetime | None) -> bool:
    """Whether a `Moment` would show both alike."""
    if one is None or other is None:
        return one is other
    return one.replace(second=0, microsecond=0) == other.replace(second=0, microsecond=0)
