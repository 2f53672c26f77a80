"""A server that converts units and counts with dates. Run it with ``python -m dmcp.demo.units``."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dmcp.demo.server import Refused, Tool, serve

_SCALES: Final[dict[str, dict[str, float]]] = {
    "length": {
        "mm": 0.001,
        "cm": 0.01,
        "m": 1,
        "km": 1000,
        "in": 0.0254,
        "ft": 0.3048,
        "yd": 0.9144,
        "mi": 1609.344,
    },
    "mass": {"g": 0.001, "kg": 1, "t": 1000, "oz": 0.028349523125, "lb": 0.45359237},
    "volume": {"ml": 0.001, "l": 1, "m3": 1000, "cup": 0.2365882365, "pt": 0.473176473, "gal": 3.785411784},
    "speed": {"m/s": 1, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 0.514444},
    "storage": {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3},
}


def _shown(value: float) -> str:
    return f"{value:.6g}"


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text!r} is no date: write it as YYYY-MM-DD.") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"{name!r} is no known time zone: write it as Area/City, or UTC.") from None


def convert(value: float, from_unit: str, to_unit: str) -> str:
    """Convert a value from one unit to another of the same quantity: length, mass, volume, speed or storage."""
    for scale in _SCALES.values():
        if from_unit in scale and to_unit in scale:
            return (
                f"{_shown(value)} {from_unit} = {_shown(value * scale[from_unit] / scale[to_unit])} {to_unit}"
            )
    raise Refused(f"There is no way from {from_unit!r} to {to_unit!r}. list_units shows what goes together.")


def list_units(quantity: str = "") -> str:
    """List the units convert knows, by quantity. Only units of the same quantity can be converted to each other."""
    return "\n".join(
        f"{name}: {', '.join(scale)}" for name, scale in _SCALES.items() if quantity in ("", name)
    )


def convert_temperature(value: float, from_scale: str, to_scale: str) -> str:
    """Convert a temperature between Celsius, Fahrenheit and Kelvin."""
    to_kelvin = {"C": value + 273.15, "F": (value - 32) / 1.8 + 273.15, "K": value}
    if from_scale not in to_kelvin or to_scale not in to_kelvin:
        raise Refused("The scales are C, F and K.")
    kelvin = to_kelvin[from_scale]
    result = {"C": kelvin - 273.15, "F": (kelvin - 273.15) * 1.8 + 32, "K": kelvin}[to_scale]
    return f"{_shown(value)} {from_scale} = {_shown(result)} {to_scale}"


def current_time(zone: str = "UTC") -> str:
    """Return the present date and time in a time zone; UTC if none is given."""
    return datetime.now(UTC).astimezone(_zone(zone)).isoformat(timespec="seconds")


def convert_time(time: str, from_zone: str, to_zone: str) -> str:
    """Say what a clock in one time zone shows when a clock in another shows a given time. Knows summer time."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise Refused(f"{time!r} is no time: write it as YYYY-MM-DDTHH:MM.") from None
    return moment.replace(tzinfo=_zone(from_zone)).astimezone(_zone(to_zone)).isoformat(timespec="minutes")


def days_between(start: str, end: str) -> str:
    """Count the days from one date to another. The result is negative if the second date is the earlier one."""
    return f"{(_date(end) - _date(start)).days} days"


def add_days(start: str, days: int) -> str:
    """Return the date a number of days after a date, or before it if the number is negative."""
    try:
        return (_date(start) + timedelta(days=days)).isoformat()
    except OverflowError:
        raise Refused("That day is beyond the calendar.") from None


def weekday(day: str) -> str:
    """Return the day of the week of a date."""
    return calendar.day_name[_date(day).weekday()]


def format_duration(seconds: int) -> str:
    """Write a time in seconds as days, hours, minutes and seconds."""
    left, parts = abs(seconds), []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts += [f"{count} {name}"] * bool(count)
    return ("-" if seconds < 0 else "") + (" ".join(parts) or "0 s")


def running_pace(distance_km: float, seconds: int) -> str:
    """Return the pace of a run in minutes a kilometre, from its distance and its time."""
    if distance_km <= 0 or seconds <= 0:
        raise Refused("Distance and time must be greater than zero.")
    minutes, rest = divmod(round(seconds / distance_km), 60)
    return f"{minutes}:{rest:02} min/km"


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_VALUE: Final = {"type": "number", "description": "The number to convert"}
_DAY: Final = _text("A day as YYYY-MM-DD", format="date")
_ZONE: Final = _text("A time zone of the IANA database, for example Europe/Helsinki")
_SCALE: Final = _text("C for Celsius, F for Fahrenheit, K for Kelvin", enum=["C", "F", "K"])
_UNIT: Final = _text("A unit's symbol, as list_units shows it, for example km or mi")
_SECONDS: Final = {"type": "integer", "description": "A time in seconds"}
_DISTANCE: Final = {"type": "number", "description": "The distance in kilometres"}
_TOOLS: Final = (
    Tool(convert, {"value": _VALUE, "from_unit": _UNIT, "to_unit": _UNIT}),
    Tool(list_units, {"quantity": _text("Show only this quantity", enum=[*_SCALES])}),
    Tool(convert_temperature, {"value": _VALUE, "from_scale": _SCALE, "to_scale": _SCALE}),
    Tool(current_time, {"zone": _ZONE}),
    Tool(convert_time, {"time": _text("A time as YYYY-MM-DDTHH:MM"), "from_zone": _ZONE, "to_zone": _ZONE}),
    Tool(days_between, {"start": _DAY, "end": _DAY}),
    Tool(add_days, {"start": _DAY, "days": {"type": "integer", "description": "How many days"}}),
    Tool(weekday, {"day": _DAY}),
    Tool(format_duration, {"seconds": _SECONDS}),
    Tool(running_pace, {"distance_km": _DISTANCE, "seconds": _SECONDS}),
)

if __name__ == "__main__":
    serve("units", _TOOLS)
