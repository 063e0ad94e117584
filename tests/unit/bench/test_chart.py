# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's picture: what a reader sees of the numbers."""

from __future__ import annotations

from xml.etree import ElementTree

from fleet_bench.chart import chart
from fleet_bench.results import Rate, Round, rows

SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> ElementTree.Element:
    turn = {"bare": Rate(2000, 1.0, 1.0), "launched": Rate(1500, 1.0, 1.0)}
    one = Round("asyncio", {"bare": 50.0, "launched": 51.0}, [turn], [turn])
    return ElementTree.fromstring(chart(rows([one]), "2 CPUs & more"))


def bars(picture: ElementTree.Element, kind: str) -> list[float]:
    return [
        float(rect.get("width", ""))
        for rect in picture.iter(f"{SVG}rect")
        if rect.get("class") == kind and rect.get("height") != "12"
    ]


def test_bars_are_as_long_as_the_medians() -> None:
    picture = drawn()
    messages, _handshakes, memory = zip(
        bars(picture, "bare"), bars(picture, "launched"), strict=True
    )
    assert round(messages[1] / messages[0], 2) == 0.75
    assert round(memory[1] / memory[0], 2) == 1.02


def test_numbers_and_conditions_can_be_read() -> None:
    picture = drawn()
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"2,000", "1,500", "50.0", "51.0", "asyncio: launched / bare is 0.750"} <= set(texts)
    assert picture.findtext(f"{SVG}desc") == "2 CPUs & more"


def test_everything_is_inside_the_picture() -> None:
    picture = drawn()
    _x, _y, width, height = map(float, picture.get("viewBox", "").split())
    for text in picture.iter(f"{SVG}text"):
        assert float(text.get("x", "")) + 7.5 * len(text.text or "") < width
        assert float(text.get("y", "")) < height
