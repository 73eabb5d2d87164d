"""What the benchmark computes without measuring: spreads, growth, capacity, its three reports."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from tests.bench import capacity, cluster_capacity, measure, report
from tests.bench.capacity import BOX, CORE, Behaviour, Costs
from tests.bench.cluster_capacity import ClusterCosts, Use
from tests.bench.measure import Row, Spread, Target

COSTS = Costs(
    report=30.0,
    command=50.0,
    recipient=20.0,
    request=100.0,
    byte=0.0001,
    at_start=40 << 20,
    idle_device=16 << 10,
    playing_user=2 << 10,
)
LISTENER = Behaviour("listens", 1, 1, 1.0, 4, 0, 320)


def test_a_spread_is_the_median_and_what_lies_around_it() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_measurements_are_interleaved() -> None:
    turns: list[str] = []

    def turn(name: str) -> measure.Turn:
        return lambda: turns.append(name) or float(len(turns))  # type: ignore[func-returns-value]

    figures = measure.interleaved({"a": turn("a"), "b": turn("b")}, 2)
    assert turns == ["a", "b", "a", "b"]
    assert figures == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_a_ratio_is_that_of_one_round() -> None:
    assert measure.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert measure.percentile(range(1, 101), share) == value


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_of_growth(power: float) -> None:
    sizes = [1, 4, 16]
    costs = [7.0 * size**power for size in sizes]
    assert measure.exponent(sizes, costs) == pytest.approx(power)


def test_a_fitted_line_has_a_fixed_part_and_a_slope() -> None:
    assert measure.line([1, 4, 16], [12.0, 18.0, 42.0]) == pytest.approx((10.0, 2.0))


def test_the_fixed_part_of_a_line_is_never_negative() -> None:
    assert measure.line([1, 2], [1.0, 3.0]) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("row", "is_met"),
    [
        (Row("p", "w", "u", Spread.of([5]), target=Target(4)), True),
        (Row("p", "w", "u", Spread.of([5]), target=Target(4, at_least=False)), False),
        (Row("p", "w", "u", Spread.of([5]), "nginx", target=Target(4)), None),
        (
            Row("p", "w", "u", Spread.of([5]), "nginx", Spread.of([1]), Spread.of([5]), Target(4)),
            True,
        ),
        (Row("p", "w", "u", Spread.of([5])), None),
    ],
    ids=["at least", "at most", "skipped", "ratio", "no target"],
)
def test_a_target_is_compared_with_the_ratio_where_there_is_a_yardstick(
    row: Row, is_met: bool | None
) -> None:
    assert row.is_met is is_met


def test_the_cost_of_a_listener() -> None:
    need = capacity.need(LISTENER, COSTS)
    asked = 40_000 / (256 << 10)
    assert need.cpu == pytest.approx((4 * 30 + asked * 100 + 40_000 * 0.0001) / 1e6)
    assert need.network == pytest.approx(40_000 * capacity.PATH_OVERHEAD)
    assert need.memory == (16 << 10) + (2 << 10)
    assert need.files == 3


def test_the_cost_of_a_command_grows_with_devices() -> None:
    commands = replace(LISTENER, devices=3, players=0, commands_per_hour=3600.0)
    assert capacity.need(commands, COSTS).cpu * 1e6 == pytest.approx(50 + 3 * 20)


def test_capacity_is_limited_by_the_scarcest_resource() -> None:
    on_a_core = capacity.carried(LISTENER, COSTS, CORE)
    assert (on_a_core.limit, on_a_core.users) == ("network", 2063)
    slow = capacity.carried(LISTENER, replace(COSTS, report=1000.0), CORE)
    assert slow.limit == "CPU"
    assert slow.users < on_a_core.users
    assert capacity.carried(replace(LISTENER, listening=0.0), COSTS, CORE).limit == "open files"


def test_capacity_grows_with_machines() -> None:
    one = capacity.carried(LISTENER, COSTS, BOX)
    assert capacity.carried(LISTENER, COSTS, BOX, 4).users == 4 * one.users


def test_capacity_counts_the_busiest_hour() -> None:
    assert len(capacity.DAY) == 24
    assert max(capacity.DAY) == 1.0
    assert 0.1 < capacity.mean_busy(0.7) < 0.7
    assert capacity.mean_busy(0.7, [1.0, 0.0]) == 0.35


CLUSTER = ClusterCosts(
    command=50.0,
    connection=100.0,
    comparison=0.5,
    exchange=10.0,
    process=20.0,
    publication=4.0,
    server_command=500.0,
    server_report=20.0,
    server_connection=1000.0,
)
CLICKS = Use("clicks", devices=2, reports=4.0, changes=0.1, streams=1.0, stream_starts=0.1)


def test_the_time_of_redis_for_a_user_is_that_of_all_operations() -> None:
    found = cluster_capacity.redis_time(CLICKS, CLUSTER)
    assert found == pytest.approx(0.1 * 50 + 2 / 5 * 0.5 + (1 / 5 + 2 * 0.1) * 10)
    assert cluster_capacity.operations(CLICKS) == pytest.approx(0.1 + 2 / 5 + 1 / 5 + 0.2)


def test_users_of_processes_grow_with_them_and_end_at_open_files() -> None:
    by_cpu = cluster_capacity.users_of_processes(CLICKS, CLUSTER, 4)
    assert by_cpu == int(4 * 0.7e6 / (4 * 20 + 0.1 * 500))
    idle = replace(CLICKS, reports=0.0, changes=0.0)
    assert cluster_capacity.users_of_processes(idle, CLUSTER, 4, files=1000) == 2000


def test_nodes_divide_operations_and_not_publications() -> None:
    users = [cluster_capacity.users_of_redis(CLICKS, CLUSTER, 4, nodes) for nodes in (1, 3, 1000)]
    assert users[0] == int((0.7e6 - 80) / cluster_capacity.redis_time(CLICKS, CLUSTER))
    assert 2 * users[0] < users[1] < 3 * users[0]
    assert users[2] == pytest.approx(0.7e6 / (0.1 * 4), rel=0.05)  # as many as are published


def test_redis_carries_nobody_beside_more_processes_than_it_can_answer() -> None:
    assert cluster_capacity.users_of_redis(CLICKS, CLUSTER, 40_000) == 0


def test_table_json_and_plot_have_the_same_rows() -> None:
    rows = [
        Row("p", "a & b", "/s", Spread.of([1, 2, 3]), "nginx", Spread.of([1]), Spread.of([2.0])),
        Row("p", "nothing", "/s", yardstick="node", target=Target(2), note="skipped: no node"),
        Row("p", "memory", "MiB", Spread.of([41.0]), target=Target(45, at_least=False)),
    ]
    answers = [capacity.carried(LISTENER, COSTS, CORE)]
    text = report.table(rows)
    assert "2 (1 to 3) /s" in text
    assert "skipped: no node" in text
    assert "≤ 45, met" in text
    assert "2,063" in report.capacity_table(answers)
    assert report.verdict(rows).startswith("1 of 1 ")
    content = json.loads(json.dumps(report.as_json(rows, answers, {})))
    assert [row["is_met"] for row in content["measured"]] == [None, None, True]
    picture = ElementTree.fromstring(report.plot(rows, "<title>"))  # noqa: S314 - our own
    drawn = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "a & b : nginx" in drawn
    assert not any("nothing" in (text or "") for text in drawn)
