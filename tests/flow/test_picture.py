"""The picture of a graph: as data, as text, as Mermaid, as SVG, and with the statistics of a run."""

from __future__ import annotations

import asyncio
import functools
import math
import re
from typing import Any

import pytest
from lxml import etree

import penstock as ps
import penstock.operators as op
from penstock import Order
from penstock.testing import Sleep, TestSource, run

SVG = "{http://www.w3.org/2000/svg}"


async def a_second(x: int) -> int:
    await asyncio.sleep(1)
    return x


def joined() -> ps.Flow[Any]:
    left = ps.from_iterable(range(10)).filter(lambda x: x % 2)
    return left.merge(ps.from_iterable([1, 2], name="right")).map_async(a_second, 2).take(3)


async def watched(flow: ps.Flow[Any], n: int = 1, pause: float = 0) -> ps.Subscription[Any]:
    """Run a flow to its end, pausing before each request but the first, and return the subscription."""
    async with flow.subscribe() as subscription:
        while await subscription.request(n):
            if pause:
                await asyncio.sleep(pause)
        return subscription


def test_nodes_and_edges() -> None:
    """Sources come first, every edge leads to a later node, and the last node is what subscribers see."""
    graph = joined().graph()
    assert [node.operator for node in graph.nodes] == [
        "from_iterable", "filter", "from_iterable", "merge", "map_async", "take",
    ]  # fmt: skip
    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 1), (1, 3), (2, 3), (3, 4), (4, 5)]
    assert [node.depth for node in graph.nodes] == [4, 3, 3, 2, 1, 0]
    assert [node.key for node in graph.inputs(3)] == [1, 2]


def test_a_node_says_what_it_is() -> None:
    """A node has its parameters by their public names, its place in the code, bound, order and state."""
    graph = joined().graph()
    source, keep, right, merge, work, take = graph.nodes
    assert source.parameters == {"items": "range(0, 10)"}
    assert keep.parameters == {"function": "<lambda>"}
    assert work.parameters == {"function": "a_second", "concurrency": "2", "window": "8"}
    assert (take.title, take.holds) == ("take(count=3)", f"{joined().max_in_flight(1):g}")
    assert re.fullmatch(r"test_picture\.py:\d+", work.place)
    assert (right.name, right.position_id, keep.position_id) == ("right", "right", None)
    assert (source.order, merge.order) == (Order.EXACT, Order.INTERLEAVED)
    assert all(node.resumable for node in graph.nodes)


def test_what_has_no_bound_shows_it() -> None:
    """A foreign observable, or a source of pages of unknown size, holds ∞, and so does every node behind it."""

    async def pages() -> Any:
        yield [1]

    flow = ps.from_pages(pages).map(str)
    assert [node.holds for node in flow.graph().nodes] == ["∞", "∞"]
    assert math.isinf(flow.graph().max_in_flight(3))
    assert "holds ∞" in flow.explain()


def test_the_bound_is_that_of_the_flow() -> None:
    """``max_in_flight`` of a graph equals that of its flow."""
    flow = joined()
    assert [flow.graph().max_in_flight(n) for n in (1, 5)] == [flow.max_in_flight(n) for n in (1, 5)]


def test_text_is_a_tree() -> None:
    """The last operator stands first, the inputs of a join below it, in order."""
    lines = [re.split(r"  +test_", line)[0] for line in joined().explain().splitlines()]
    assert lines == [
        "take(count=3)",
        "└─ map_async(function=a_second, concurrency=2, window=8)",
        "   └─ merge()",
        "      ├─ filter(function=<lambda>)",
        "      │  └─ from_iterable(items=range(0, 10))",
        "      └─ from_iterable(items=<2 items>)",
    ]


def test_mermaid_has_every_node_and_edge() -> None:
    """Mermaid has one line per node and per edge; characters that could end a label become entities."""
    text = joined().graph().to_mermaid()
    assert text.startswith("flowchart TD\n")
    assert re.findall(r"^ +(n\d) --> (n\d)$", text, re.MULTILINE) == [
        ("n0", "n1"), ("n1", "n3"), ("n2", "n3"), ("n3", "n4"), ("n4", "n5"),
    ]  # fmt: skip
    labels = re.findall(r'^ +n\d\["(.*)"\]$', text, re.MULTILINE)
    assert len(labels) == 6
    assert not [label for label in labels if re.search(r'["\[\]{}|`]', label)]
    assert "filter(function=#60;lambda#62;)" in text


def boxes_of(svg: str) -> list[dict[str, float]]:
    """Return the boxes of a picture, after checking that they are inside it and do not overlap."""
    root = etree.fromstring(svg.encode())
    boxes = [{k: float(box.get(k)) for k in ("x", "y", "width", "height")} for box in root.iter(f"{SVG}rect")]
    width, height = float(root.get("width")), float(root.get("height"))
    for i, a in enumerate(boxes):
        assert 0 <= a["x"] <= a["x"] + a["width"] <= width
        assert 0 <= a["y"] <= a["y"] + a["height"] <= height
        for b in boxes[:i]:
            apart_x = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert apart_x or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
    return boxes


def shared_and_joined() -> ps.Flow[Any]:
    """Return a graph in which one source feeds several branches of different lengths."""
    evens, odds = ps.from_iterable(range(9)).partition(lambda x: x % 2 == 0)
    return evens.map(str).map(len).buffer(2).merge(odds.map(str), ps.just(1)).zip(ps.from_iterable("abc" * 9))


@pytest.mark.parametrize("flow", [joined(), shared_and_joined(), ps.just(1)], ids=["joined", "shared", "one"])
def test_svg_is_well_formed_and_nothing_overlaps(flow: ps.Flow[Any]) -> None:
    """The SVG has one box per node and two paths per edge; boxes are inside the picture and do not overlap."""
    graph = flow.graph()
    assert len(boxes_of(graph.to_svg())) == len(graph.nodes)
    paths = list(etree.fromstring(graph.to_svg().encode()).iter(f"{SVG}path"))
    assert len(paths) == 2 * len(graph.edges)  # a line and its head


def chained(flow: ps.Flow[Any], count: int) -> ps.Flow[Any]:
    for number in range(count):
        flow = flow.map(str) if number % 3 else flow.filter(bool)
    return flow


LARGE = {
    "chain": lambda: chained(ps.just(1), 300),
    "inputs": lambda: ps.merge(*(chained(ps.just(k), 2) for k in range(100))),
    "long inputs": lambda: ps.merge(*(chained(ps.just(k), 30) for k in range(10))).buffer(2),
    "nested": lambda: ps.zip(*(ps.merge(*(ps.just(k) for k in range(20))) for _ in range(15))),
    "comb": lambda: functools.reduce(lambda a, k: a.merge(chained(ps.just(k), 2)), range(100), ps.just(1)),
    "shared": lambda: ps.merge(*(chained(one, 9) for one in chained(ps.just(1), 9).broadcast(30))),
}


@pytest.mark.parametrize("build", LARGE.values(), ids=LARGE)
def test_a_large_graph_is_folded(build: Any) -> None:
    """A graph of 300 nodes gives few boxes, which account for every node, and the same picture each time."""
    graph = build().graph()
    assert len(graph.nodes) >= 290
    svg = graph.to_svg()
    assert len(boxes_of(svg)) <= 41
    texts = [text.text or "" for text in etree.fromstring(svg.encode()).iter(f"{SVG}text")]
    folded = [
        int(text.split()[1].replace(",", "")) for text in texts if re.fullmatch(r"… [\d,]+ nodes", text)
    ]
    assert len(boxes_of(svg)) - len(folded) + sum(folded) == len(graph.nodes)
    assert svg == graph.to_svg()
    assert len(boxes_of(graph.to_svg(most=None))) == len(graph.nodes)


def test_a_folded_box_shows_what_is_slow() -> None:
    """The box that holds the slowest stage of a run is marked."""

    async def main() -> None:
        flow = chained(ps.from_iterable([1, 2]), 60).map_async(a_second, 1)
        flow = chained(flow, 60)
        svg = flow.graph((await watched(flow)).statistics()).to_svg()
        assert 'class="folded slowest"' in svg

    run(main())


def test_a_picture_keeps_its_style_to_itself() -> None:
    """Every rule names the class of the picture, so that other pictures of a page keep their look."""
    style = re.search("<style>(.*)</style>", joined().graph().to_svg())[1]
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", style.replace("@media(prefers-color-scheme:dark){", ""))
    assert rules
    assert all(rule.startswith(".penstock-graph") for rule in rules)


def test_nothing_of_a_user_breaks_out() -> None:
    """Markup, quotes and escape sequences in names stay text, and items are never shown."""

    class Named:
        __qualname__ = 'f"]<script>\x1b[31m'

        def __call__(self, x: int) -> int:
            return x

    step = Named()
    step.__qualname__ = Named.__qualname__  # type: ignore[attr-defined]
    graph = ps.from_iterable(["secret"]).map(step).graph()
    svg = graph.to_svg()
    etree.fromstring(svg.encode())
    for shown in (svg, graph.to_mermaid(), str(graph)):
        assert "\x1b" not in shown
        assert "secret" not in shown
    assert "<script>" not in svg + graph.to_mermaid()


def test_a_notebook_shows_the_picture() -> None:
    """The notebook's bundle has SVG, and text for notebooks that cannot show SVG."""
    bundle = joined().graph()._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == joined().explain()


def test_figures_of_a_run() -> None:
    """Each node shows the counts and times of its stage; fused neighbours share them."""
    flow = TestSource([Sleep(2), 1, Sleep(2), 2]).map(str).tap(len)

    async def main() -> None:
        subscription = await watched(flow, pause=3)
        source, first, second = flow.graph(subscription.statistics()).nodes
        assert first.figures is second.figures
        assert (source.figures.delivered, first.figures.delivered) == (2, 2)
        assert (source.figures.busy, first.figures.busy) == (4, 0)
        assert (first.figures.upstream, first.figures.idle) == (4, 6)

    run(main())


@pytest.mark.parametrize(
    ("flow", "pause", "culprit"),
    [
        (TestSource([Sleep(5), 1, Sleep(5), 2]).map(str), 1, "from_async_iterable"),
        (ps.from_iterable([1, 2, 3]).map_async(a_second, 1).map(str), 0.5, "map_async"),
        (ps.from_iterable([1, 2, 3]).map_async(a_second, 3).map(str), 5, "the subscriber"),
        (ps.from_iterable([1, 2, 3]).map_async(a_second, 1).buffer(1).merge(ps.just(1)), 0.1, "map_async"),
    ],
    ids=["source", "operator", "subscriber", "behind a buffer"],
)
def test_the_bottleneck_is_named(flow: ps.Flow[Any], pause: float, culprit: str) -> None:
    """Text, Mermaid and SVG mark the stage that takes most of the time."""

    async def main() -> None:
        statistics = (await watched(flow, pause=pause)).statistics()
        last = flow.explain(statistics).splitlines()[-1]
        assert last.startswith(f"bottleneck: {culprit}")
        marked = culprit != "the subscriber"
        graph = flow.graph(statistics)
        assert ("class n" in graph.to_mermaid()) == ('slowest"' in graph.to_svg()) == marked

    run(main())


def test_before_a_run_nothing_is_slow() -> None:
    """Statistics of a subscription without a request name no bottleneck."""

    async def main() -> None:
        flow = joined()
        async with flow.subscribe() as subscription:
            statistics = subscription.statistics()
            assert (statistics.slowest, statistics.bottleneck, statistics.delivered) == (None, None, 0)
            assert "bottleneck" not in flow.explain(statistics)

    run(main())


def test_a_request_that_waits_counts_already() -> None:
    """Statistics read from another task show where a pending request waits."""

    async def main() -> None:
        flow = TestSource([Sleep(1000), 1]).map(str)
        async with flow.subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(10)
            statistics = subscription.statistics()
            assert statistics.slowest is statistics.stages[0]
            assert [stage.waiting for stage in statistics.stages] == [10, 10]
            assert await request == ["1"]

    run(main())


def test_statistics_of_another_graph_are_refused() -> None:
    """Statistics of another graph are refused, because they would stand at the wrong nodes."""

    async def main() -> None:
        statistics = (await watched(ps.just(1).buffer(1).take(1).buffer(2))).statistics()
        with pytest.raises(ValueError, match="another graph: it has 4 nodes, this one 2"):
            ps.just(1).map(str).graph(statistics)

    run(main())


def test_a_flow_built_while_running_shows_its_stages() -> None:
    """A flow built by ``defer`` has statistics, though the graph could not know it."""

    async def main() -> None:
        flow = op.map(str)(ps.defer(lambda: ps.just(1, 2).buffer(2)))
        statistics = (await watched(flow)).statistics()
        assert [stage.name for stage in statistics.stages] == ["from_iterable", "buffer", "defer", "map"]
        assert [stage.nodes for stage in statistics.stages] == [(), (), (0,), (1,)]
        assert [node.figures.delivered for node in flow.graph(statistics).nodes] == [2, 2]

    run(main())
