# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result as a picture: an SVG of three groups of bars, without a library for it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from .results import KINDS, Row, Spread

__all__ = ["chart"]

# What is drawn of the result: heading, name and unit of the rows.
PANELS = (
    ("Messages a second of CPU", "messages", "/CPU s"),
    ("Handshakes a second of CPU", "handshakes", "/CPU s"),
    ("Memory of a connection, KiB", "a connection", "KiB"),
)
WIDTH, PANEL, BAR, LEFT, BARS = 960, 300, 22, 30, 170

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
aria-labelledby="title description">
  <title id="title">The launcher beside a bare serve()</title>
  <desc id="description">{description}</desc>
  <style>
    svg {{ --page: #ffffff; --ink: #1f2937; --soft: #6b7280; --line: #1f2937; --bare: #cbd5e1;
          --launched: #7aa2f7; }}
    @media (prefers-color-scheme: dark) {{
      svg {{ --page: #0d1117; --ink: #e5e7eb; --soft: #9ca3af; --line: #e5e7eb; --bare: #475569;
            --launched: #3b6fd4; }}
    }}
    text {{ fill: var(--ink); font: 14px system-ui, "DejaVu Sans", sans-serif; }}
    .name {{ font-weight: 600; }}
    .small {{ fill: var(--soft); font-size: 12px; }}
    .bare {{ fill: var(--bare); }}
    .launched {{ fill: var(--launched); }}
    .spread {{ fill: none; stroke: var(--line); stroke-width: 1.5; }}
  </style>
  <rect width="{width}" height="{height}" rx="12" fill="var(--page)"/>
"""


def _text(x: float, y: float, text: str, style: str = "") -> str:
    attribute = f' class="{style}"' if style else ""
    return f'  <text{attribute} x="{x:g}" y="{y:g}">{html.escape(text)}</text>\n'


def _bar(x: float, y: float, kind: str, spread: Spread, scale: float) -> str:
    """A bar as long as the median, with a whisker over the quartiles."""
    low, median, high = (
        round(value * scale, 1) for value in (spread.low, spread.median, spread.high)
    )
    value = f"{spread.median:,.0f}" if spread.median >= 1000 else f"{spread.median:.1f}"
    middle = y + BAR / 2
    return (
        f'  <rect class="{kind}" x="{x:g}" y="{y:g}" width="{median:g}" height="{BAR}" rx="3"/>\n'
        f'  <path class="spread" d="M{x + low:g} {middle - 4:g}v8m0 -4H{x + high:g}m0 -4v8"/>\n'
        + _text(x + max(median, high) + 8, middle + 5, value)
    )


def _panel(x: float, heading: str, panel: Sequence[Row]) -> str:
    parts = [_text(x, 40, heading, "name")]
    scale = BARS / max(getattr(row, kind).high for row in panel for kind in KINDS)
    y = 70
    for row in panel:
        form = "launched / bare is {:.3f}" if row.is_ratio else "launched - bare is {:+.2f}"
        compared = form.format(row.compared.median)
        parts.append(_text(x, y, f"{row.event_loop}: {compared}", "small"))
        for index, kind in enumerate(KINDS):
            parts.append(_bar(x, y + 10 + index * (BAR + 4), kind, getattr(row, kind), scale))
        y += 2 * BAR + 48
    return "".join(parts)


def chart(result: Sequence[Row], description: str) -> str:
    """An SVG of the result."""
    loops = len({row.event_loop for row in result})
    height = 70 + loops * (2 * BAR + 48) + 30
    parts = [HEAD.format(width=WIDTH, height=height, description=html.escape(description))]
    for index, (heading, name, unit) in enumerate(PANELS):
        panel = [row for row in result if (row.name, row.unit) == (name, unit)]
        parts.append(_panel(LEFT + index * (PANEL + 10), heading, panel))
    y = height - 22
    for index, (kind, text) in enumerate(
        (("bare", "bare serve()"), ("launched", "python -m websockets_fleet"))
    ):
        x = LEFT + index * 140
        parts.append(
            f'  <rect class="{kind}" x="{x}" y="{y - 11}" width="12" height="12" rx="2"/>\n'
        )
        parts.append(_text(x + 20, y, text, "small"))
    x = LEFT + 360
    parts.append(f'  <path class="spread" d="M{x} {y - 9}v8m0 -4h24m0 -4v8"/>\n')
    parts.append(_text(x + 34, y, "middle half of the rounds", "small"))
    return "".join([*parts, "</svg>\n"])
