"""Forecasts of hotspots: the formulas against their definitions, and what comes out of cities that were made up."""

from itertools import combinations, pairwise
from math import lgamma, log
from typing import Any

import numpy as np
import pytest
from shapely.geometry import box, shape

from geo.hotspots import explain, spread
from geo.hotspots.forecast import Asked, Forecast, Seen, TooFew, Wanted, forecast
from geo.hotspots.lattice import Floats, Lattice, TooFine, metres_per_degree
from geo.hotspots.model import Constants, Counted, History, Rates, evidence, likelihood
from geo.hotspots.placement import Chosen
from loadtests import hotspots as bench
from tests.helpers import shared_data

RNG = np.random.default_rng(20261130)
LON, LAT = 25.28, 54.69
SPACING_DAYS = 45
WANTED = Wanted(days=730, horizon_days=30, cell_m=250, area_share=0.01)


def city(events: int = 6_000, spots: int = 25, seed: int = 1, days: float = 760, wide: float = 0.0012) -> Seen:
    """Events around spots of unequal strength, and a third of them anywhere; ages below 0 are yet to come."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(0, 0.04, (spots, 2))
    at = middles[rng.choice(spots, events, p=rng.dirichlet(np.full(spots, 0.6)))] + rng.normal(0, wide, (events, 2))
    anywhere = rng.random(events) < 0.3
    at[anywhere] = rng.normal(0, 0.05, (int(anywhere.sum()), 2))
    return Seen(LON + at[:, 0], LAT + at[:, 1], rng.uniform(-30, days - 30, events))


def past(seen: Seen) -> Seen:
    before = seen.age_days > 0
    return Seen(seen.lon[before], seen.lat[before], seen.age_days[before])


def caught(seen: Seen, found: Forecast, k: int) -> int:
    """Of the events to come, those in the `k` best places."""
    to_come = seen.age_days <= 0
    best = sorted(found.features, key=lambda each: int(each["properties"]["rank"]))[:k]
    return int(bench.within(best, seen.lon[to_come], seen.lat[to_come]).sum())


def test_a_degree_is_as_long_as_tables_say() -> None:
    # NIMA TR8350.2 WGS 84: at 45 degrees 78 847 and 111 132 m, at 60 degrees 55 800 and 111 412 m.
    for lat, lon_m, lat_m in ((45, 78_847, 111_132), (60, 55_800, 111_412)):
        assert metres_per_degree(lat) == pytest.approx((lon_m, lat_m), abs=1)


def test_asked_cells_of_any_grid_are_the_grids_cells() -> None:
    step_lon, step_lat = 250 / 64_400, 250 / 110_540  # as somebody else reckons metres
    places = [(21.1 + x * step_lon, 55.7 + y * step_lat) for x, y in RNG.permutation(3_000).reshape(-1, 2) % 100]
    lon, lat = np.array(places).T
    lattice = Lattice.through(lon, lat, 250)
    middle = lattice.middle(lattice.holding(lon, lat))
    assert np.abs(middle[0] - lon).max() < step_lon / 100
    assert np.abs(middle[1] - lat).max() < step_lat / 100


def test_a_few_strays_do_not_widen_the_map_and_too_fine_is_said() -> None:
    seen = city()
    lon, lat = np.append(seen.lon, [-179.0, 179.0]), np.append(seen.lat, [-80.0, 80.0])
    assert Lattice.over(lon, lat, 250).size < 20_000
    with pytest.raises(TooFine):
        Lattice.over(np.array([20.0, 27.0]), np.array([53.0, 57.0]), 50)


def test_gi_star_is_what_its_definition_says() -> None:
    area = RNG.random((9, 11)) < 0.8
    values = RNG.poisson(2, area.shape).astype(float) * area
    inside = np.argwhere(area)
    n, x = len(inside), values[area]
    deviation = np.sqrt((x**2).mean() - x.mean() ** 2)
    for at, z in zip(inside, explain.gi_star(values, area), strict=True):
        w = (np.abs(inside - at).max(axis=1) <= 1).astype(float)
        below = deviation * np.sqrt((n * (w**2).sum() - w.sum() ** 2) / (n - 1))
        assert z == pytest.approx(((w * x).sum() - x.mean() * w.sum()) / below)


def test_the_trend_is_kendalls_with_ties() -> None:
    series = RNG.integers(0, 4, (12, 30)).astype(float)
    series[:, 0] = 1.0
    for at, z in enumerate(explain.mann_kendall(series)):
        column = series[:, at]
        s = sum(np.sign(later - earlier) for earlier, later in combinations(column, 2))
        ties = sum(t * (t - 1) * (2 * t + 5) for t in np.unique(column, return_counts=True)[1])
        variance = (12 * 11 * 29 - ties) / 18
        assert z == pytest.approx((s - np.sign(s)) / np.sqrt(variance) if variance else 0)


def test_significant_is_what_the_false_discovery_rate_leaves() -> None:
    assert explain.significant(np.array([5.0, -4.0, 0.1, 0.2])).tolist() == [True, True, False, False]
    # One in twenty of pure noise would pass a plain test at 5 %.
    assert explain.significant(RNG.normal(size=2_000)).sum() <= 2


H, N, C = (True, False), (False, False), (False, True)


@pytest.mark.parametrize(
    ("spans", "trend", "kind"),
    [
        ([N] * 11 + [H], 0, "new_hot"), ([N] * 9 + [H] * 3, 0, "consecutive_hot"), ([H] * 12, 2.5, "intensifying_hot"),
        ([H] * 12, 0.3, "persistent_hot"), ([H] * 12, -2.5, "diminishing_hot"),
        ([H, N] * 5 + [N, H], 0, "sporadic_hot"),
        ([C] * 3 + [N] * 6 + [H] * 3, 0, "oscillating_hot"), ([H] * 11 + [N], 0, "historical_hot"),
        ([N] * 11 + [C], 0, "new_cold"), ([C] * 12, -2.5, "intensifying_cold"), ([C] * 12, 2.5, "diminishing_cold"),
        ([H] * 6 + [N] * 6, 0, "none"), ([N] * 12, 3.0, "none"),
    ],
)  # fmt: skip
def test_the_kinds_of_hotspots(spans: list[tuple[bool, bool]], trend: float, kind: str) -> None:
    hot, cold = np.array(spans).T
    assert explain.kind(hot, cold, trend) == kind


def test_quantiles_are_the_first_counts_that_reach_them() -> None:
    shape_, mean = RNG.uniform(0.2, 40, 60), RNG.uniform(0.01, 80, 60)
    p = shape_ / (shape_ + mean)
    for share in (0.05, 0.95):
        for k, s, q in zip(spread._quantile(share, shape_, p), shape_, p, strict=True):
            below, count = 0.0, -1
            while below < share:
                count += 1
                told = lgamma(s + count) - lgamma(s) - lgamma(count + 1) + s * log(q) + count * log(1 - q)
                below += np.exp(told)
            assert k == count


def _history(counts: Floats, patrol: Counted | None = None) -> History:
    rows, columns = counts.shape
    lattice = Lattice(LON, LAT, 0.004, 0.002, columns, rows)
    cells = np.repeat(np.arange(counts.size), counts.astype(int).ravel())
    return History(lattice, np.ones(counts.shape, bool), 250, 360, Counted(cells, np.full(cells.size, 10.0)), patrol)


def test_the_prior_of_a_cell_is_its_neighbours_rate_and_never_its_own() -> None:
    counts = np.zeros((31, 31))
    counts[15, 15] = 40
    told = evidence(_history(counts), 0.0, 1e5, 250.0)
    everywhere = told.n.sum() / told.exposure.sum()
    prior = told.prior.reshape(31, 31)
    assert prior[15, 15] == pytest.approx(0.03 * everywhere)
    assert prior[15, 16] > prior[15, 18] > prior[15, 15]
    found = told.posterior(0.8)
    assert found.mean[15 * 31 + 15] == pytest.approx((0.8 + told.n.max()) / (0.8 / prior[15, 15] + told.exposure[0]))


def test_the_likelihood_is_the_negative_binomials() -> None:
    found = Rates(RNG.uniform(0.5, 9, 40), RNG.uniform(5, 90, 40))
    ahead, seen = np.full(40, 30.0), RNG.poisson(2, 40).astype(float)
    p = found.rate / (found.rate + 30)
    whole = sum(
        lgamma(s + y) - lgamma(s) - lgamma(y + 1) + s * log(q) + y * log(1 - q)
        for s, y, q in zip(found.shape, seen, p, strict=True)
    )
    assert likelihood(found, ahead, seen) == pytest.approx(whole + sum(lgamma(y + 1) for y in seen))


def test_a_forecast_finds_what_comes_and_says_how_much() -> None:
    seen = city()
    found = forecast(past(seen), None, WANTED)
    ranks = [feature["properties"]["rank"] for feature in found.features]
    k = round(found.cells * 0.01)
    assert ranks == list(range(1, k + 1))
    to_come = int((seen.age_days <= 0).sum())
    assert caught(seen, found, k) > 30 * to_come * k / found.cells
    assert found.total[1] <= caught(seen, found, k) <= found.total[2]
    scores = [feature["properties"]["score"] for feature in found.features]
    assert all(better >= worse for better, worse in pairwise(scores))
    assert found.total[0] == pytest.approx(sum(feature["properties"]["mean"] for feature in found.features), rel=1e-3)
    first = found.features[0]["properties"]
    assert first["n"] > 50
    assert first["gi_z"] > 3
    assert first["class"].endswith("_hot")
    assert first["exposure_h"] is None


def test_intervals_hold_about_as_often_as_they_say() -> None:
    held, cells, inside = [], 0, 0
    for seed in range(12):
        seen = city(seed=seed)
        found = forecast(past(seen), None, WANTED)
        held.append(found.total[1] <= caught(seen, found, len(found.features)) <= found.total[2])
        for feature in found.features:
            one = caught(seen, Forecast([feature], (0, 0, 0), 1, 0, 0, Constants()), 1)
            cells, inside = cells + 1, inside + (feature["properties"]["lo"] <= one <= feature["properties"]["hi"])
    assert sum(held) >= 9
    assert 0.85 <= inside / cells <= 0.99


def test_free_squares_catch_more_and_none_lies_over_another() -> None:
    more = 0.0
    for seed in range(4):
        seen = city(events=12_000, spots=150, seed=seed, wide=0.0006)
        grid = forecast(past(seen), None, WANTED)
        free = forecast(past(seen), None, Wanted(730, 30, 250, 0.01, free=True))
        assert len(free.features) == len(grid.features)
        squares = [shape(feature["geometry"]) for feature in free.features]
        assert max(a.intersection(b).area for a, b in combinations(squares, 2)) < 1e-9
        side = shape(grid.features[0]["geometry"]).area
        assert all(each.area == pytest.approx(side, rel=1e-3) for each in squares)
        more += log(caught(seen, free, 10_000) / caught(seen, grid, 10_000)) / 4
    assert more > log(1.1)


def test_what_was_asked_is_answered_in_its_order_and_nothing_else() -> None:
    seen = past(city())
    lattice = Lattice.over(seen.lon, seen.lat, 250)
    cells = RNG.permutation(lattice.size)[:400]
    places = zip(*(each.tolist() for each in lattice.middle(cells)), strict=True)
    asked = tuple(Asked(f"c{n}", lon, lat) for n, (lon, lat) in enumerate(places))
    found = forecast(seen, None, Wanted(730, 30, 250, 0.05, asked=asked))
    assert [feature["properties"]["id"] for feature in found.features] == [place.id for place in asked]
    assert all(
        shape(feature["geometry"]).contains(box(place.lon, place.lat, place.lon + 1e-9, place.lat + 1e-9))
        for feature, place in zip(found.features, asked, strict=True)
    )
    assert sorted(feature["properties"]["rank"] for feature in found.features) == list(range(1, 401))
    assert found.cells == 400
    assert found.outside > 0


def test_only_an_area_is_looked_at_when_one_is_named() -> None:
    west = box(LON - 1, LAT - 1, LON, LAT + 1)
    found = forecast(past(city()), None, Wanted(730, 30, 250, 0.05, area=west))
    assert all(shape(feature["geometry"]).centroid.x < LON for feature in found.features)
    assert found.outside > 1_000


def test_nearly_nothing_is_no_ground_for_a_forecast() -> None:
    few = Seen(*np.array([[LON, LAT, 5.0]] * 9).T)
    with pytest.raises(TooFew):
        forecast(few, None, WANTED)
    # 200 events over two years: too few to tune by, enough to tell.
    assert forecast(past(city(events=200)), None, WANTED).features


def _patrolled(seed: int, method: str) -> float:
    """Of the best reachable rate, what the chosen forty have after two years of going where the last choice was."""
    rng = np.random.default_rng(seed)
    side, chosen = 60, 40
    rate = rng.gamma(0.3, 0.05, side * side)
    lattice = Lattice(LON, LAT, 0.004, 0.00225, side, side)
    cells, ages, hours, walked, when = [], [], [], [], []
    best: Any = rng.choice(side * side, chosen, replace=False)
    for month in range(24):
        spent = np.full(side * side, 0.1 * 200 / (side * side))
        spent[best] += 0.9 * 200 / chosen
        seen = rng.poisson(rate * spent)
        age = (23 - month) * 30 + 15.0
        cells.append(np.repeat(np.arange(side * side), seen))
        ages.append(np.full(int(seen.sum()), age))
        walked.append(np.arange(side * side))
        hours.append(spent)
        when.append(np.full(side * side, age))
        events = Counted(np.concatenate(cells), np.concatenate(ages) - age + 15)
        patrol = Counted(np.concatenate(walked), np.concatenate(when) - age + 15, np.concatenate(hours))
        area = np.ones((side, side), bool)
        history = History(lattice, area, 250, 720, events, patrol if method == "eb_per_hour" else None)
        if method == "count":
            score = history.observed(0, 1e9)
        else:
            score = evidence(history, 0.0, 1e5, 250.0).posterior(0.4).mean
        best = np.argsort(-score, kind="stable")[:chosen]
    return float(rate[best].sum() / np.sort(rate)[-chosen:].sum())


def test_by_hours_of_patrol_places_are_found_that_counts_alone_never_lead_to() -> None:
    by_hour, by_count = (
        np.mean([_patrolled(seed, method) for seed in range(6)]) for method in ("eb_per_hour", "count")
    )
    assert by_hour > 1.05 * by_count


def test_a_total_is_no_surer_than_the_level_was_steady() -> None:
    places = Chosen(np.arange(5), np.arange(5), Rates(np.full(5, 50.0), np.full(5, 10.0)), np.full(5, 30.0))
    steady, unsteady = (spread.total(places, spread.Past(1.0, 1.0, sd, 6)) for sd in (0.02, 0.4))
    assert steady[0] == unsteady[0] == 750
    assert unsteady[1] < steady[1] < 750 < steady[2] < unsteady[2]


def incidents() -> tuple[Floats, Floats, Floats, float, int]:
    """lon, lat, day of the real incidents where they are, else of a city made up; the first origin, and how many."""
    file = shared_data("violations/barcelona_accidents_2010_2022.csv.gz", "a city that was made up is foretold instead")
    if file is not None:
        first = float((np.datetime64("2016-06-01") - np.datetime64("1970-01-01")) / bench.DAY)
        return *bench.read(file), first, 24
    seen = city(events=20_000, spots=200, wide=0.0004, days=1_800)
    return seen.lon, seen.lat, 18_000 - seen.age_days, 17_500.0, 6


def test_it_beats_the_usual_heatmap_and_says_how_surely() -> None:
    lon, lat, day, first, origins = incidents()
    of, tally = bench.City(lon, lat, day, first), bench.Tally()
    for number in range(origins):  # as in docs/hotspots.md: a few origins alone are a lottery
        bench.origin_(of, first + number * SPACING_DAYS, 30, tally)
    assert tally.ratio("ours", bench.HEATMAP) > 1.08
    assert tally.ratio("free squares of 100 m", bench.HEATMAP) > 1.7
    assert np.mean(tally.total_held) > 0.66
    assert np.mean(tally.cells_held) > 0.8
