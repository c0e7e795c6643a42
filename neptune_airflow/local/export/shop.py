"""The graph that is exported when no other is given: a shop whose customers are worth learning about.

A customer's ``segment`` is made of two facts. How *often* they come shows in their own properties (visits, channel,
newsletter). How *fine* their taste is shows hardly there at all: it shows in the products they buy, each of which is a
poor witness alone, and which its category and its brand vouch for. So neither a customer's properties nor the segments
of people who buy the same things are enough; a model that reads properties over two steps of the graph is.

What customers buy can be foreseen too: beside their taste they have a few favourite categories, of which no property
tells. What sells well in the whole shop therefore says little about what one customer buys next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.local.export.graph import Graph, Table
from neptune_airflow.local.export.labels import Label

SEED = 20260101
SEGMENTS = (("visitor", "treat buyer"), ("regular", "connoisseur"))
"""Names of the segments, by how often a customer comes and by how fine their taste is."""

CHANNELS, REGIONS = ("web", "app", "shop"), ("north", "east", "south", "west", "islands")
MATERIALS = ("wood", "steel", "wool", "glass", "paper")
INTERESTS = ("cooking", "travel", "sport", "books", "garden", "music", "film", "art")

FAVOURITES, HABIT = 3, 0.75
"""How many categories a customer keeps coming back to, and the share of choices made there."""

Bits = NDArray[np.bool_]
Indices = NDArray[np.int64]
Traits = Bits | Indices
Numbers = NDArray[np.float64] | NDArray[np.int32]


@dataclass(frozen=True)
class ShopSize:
    """How many nodes of each kind the shop has, and how many edges a customer has on average."""

    customers: int = 3200
    products: int = 1500
    categories: int = 60
    brands: int = 140
    stores: int = 100
    bought: float = 9.6
    viewed: float = 4.2
    follows: float = 1.5


def shop_graph(seed: int = SEED, size: ShopSize | None = None) -> Graph:
    """Make the shop: by default 5,000 nodes and about 50,000 edges.

    :param seed: the same seed gives the same graph.
    :param size: numbers of nodes and edges.
    """
    return _Shop(np.random.default_rng(seed), size or ShopSize()).graph()


class _Shop:
    """The shop while it is being made; ``fine`` and ``often`` are what nobody gets to see."""

    def __init__(self, rng: np.random.Generator, size: ShopSize) -> None:
        self.rng, self.size = rng, size
        self.often, self.taste = self.coin(0.38, size.customers), self.coin(0.45, size.customers)
        self.category = rng.integers(size.categories, size=size.products)
        self.brand = rng.integers(size.brands, size=size.products)
        fine_categories, fine_brands = self.coin(0.5, size.categories), self.coin(0.5, size.brands)
        hints = fine_categories[self.category].astype(int) + fine_brands[self.brand]
        self.fine = self.coin(np.array([0.06, 0.5, 0.94])[hints], size.products)
        self.fine_categories, self.fine_brands = fine_categories, fine_brands
        self.popularity = rng.pareto(2.5, size.products) + 0.3
        self.favourites = rng.integers(size.categories, size=(size.customers, FAVOURITES))

    def graph(self) -> Graph:
        nodes = {
            "brand": self.brands(),
            "category": self.categories(),
            "customer": self.customers(),
            "product": self.products(),
            "store": self.stores(),
        }
        edges = [self.bought(), self.follows(), self.shops_at(), self.viewed(), self.in_category(), self.made_by()]
        return Graph([Table.of(Label.of_node(label), frame) for label, frame in nodes.items()], edges)

    # -- chance ----------------------------------------------------------------------------------------------------

    def coin(self, chance: float | NDArray[np.float64], count: int) -> Bits:
        return self.rng.random(count) < chance

    def around(self, mean: float | NDArray[np.float64], spread: float, count: int, low: float) -> NDArray[np.float64]:
        return np.maximum(np.round(self.rng.normal(mean, spread, count), 2), low)

    def pick(self, words: Sequence[str], chances: NDArray[np.float64]) -> list[str]:
        """Pick a word a row, each row with chances of its own."""
        steps = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
        chosen = (self.rng.random((len(chances), 1)) > steps).sum(axis=1)
        return [words[min(index, len(words) - 1)] for index in chosen]

    def dates(self, count: int, first_year: int, days: int) -> pl.Series:
        hours = self.rng.integers(days * 24, size=count) * 3_600_000
        start = pl.Series([datetime(first_year, 1, 1)]).cast(pl.Datetime("ms")).cast(pl.Int64)[0]
        return pl.Series(hours + start, dtype=pl.Int64).cast(pl.Datetime("ms"))

    def gaps(self, values: Numbers, share: float) -> pl.Series:
        """Leave a share of the values out."""
        return pl.Series(values).set(pl.Series(self.coin(share, len(values))), None)

    # -- nodes -----------------------------------------------------------------------------------------------------

    def customers(self) -> pl.DataFrame:
        count, often, taste = self.size.customers, self.often.astype(float), self.taste.astype(float)
        likes = self.rng.random((count, len(INTERESTS))) < 0.25
        likes[:, 0] |= self.coin(0.12 * taste, count)
        likes[:, self.rng.integers(1, len(INTERESTS))] |= ~likes.any(axis=1)
        channel = np.stack([0.55 - 0.35 * often, 0.15 + 0.4 * often, np.full(count, 0.3)], axis=1)
        return pl.DataFrame(
            {
                "~id": _ids("customer", count),
                "age": self.gaps(self.around(44 + 3 * taste, 14, count, 18).astype(np.int32), 0.05),
                "visits": self.around(6 + 5.5 * often, 1.7, count, 0).astype(np.int32),
                "basket": self.gaps(self.around(48 + 6 * taste, 14, count, 5), 0.03),
                "channel": self.pick(CHANNELS, channel),
                "newsletter": self.coin(0.12 + 0.76 * often, count),
                "region": self.pick(REGIONS, np.ones((count, len(REGIONS)))),
                "interests": [[INTERESTS[i] for i in np.flatnonzero(row)] for row in likes],
                "since": self.dates(count, 2016, 3650),
                "segment": [
                    SEGMENTS[a][b] for a, b in zip(self.often.astype(int), self.taste.astype(int), strict=True)
                ],
            }
        )

    def products(self) -> pl.DataFrame:
        count, fine = self.size.products, self.fine.astype(float)
        material = np.stack([1 + fine, 1 - 0.2 * fine, 0.6 + fine, 0.5 + 0.5 * fine, 1.4 - 0.8 * fine], axis=1)
        return pl.DataFrame(
            {
                "~id": _ids("product", count),
                "sku": [f"SKU-{number:06d}" for number in self.rng.permutation(count * 7)[:count]],
                "price": self.around(55 + 30 * fine, 18, count, 2),
                "rating": self.gaps(self.around(3.5 + 0.4 * fine, 0.5, count, 1).clip(max=5), 0.08),
                "weight": self.gaps(self.around(2.4, 0.8, count, 0.1), 0.04),
                "handmade": self.coin(0.2 + 0.5 * fine, count),
                "material": self.pick(MATERIALS, material),
                "listed": self.dates(count, 2020, 1800),
            }
        )

    def categories(self) -> pl.DataFrame:
        count, fine = self.size.categories, self.fine_categories.astype(float)
        return pl.DataFrame(
            {
                "~id": _ids("category", count),
                "margin": self.around(0.28 + 0.14 * fine, 0.06, count, 0.02),
                "seasonal": self.coin(0.3, count),
            }
        )

    def brands(self) -> pl.DataFrame:
        count, fine = self.size.brands, self.fine_brands.astype(float)
        return pl.DataFrame(
            {
                "~id": _ids("brand", count),
                "founded": self.around(1985 - 15 * fine, 12, count, 1900).astype(np.int32),
                "country": self.pick(("DE", "FR", "IT", "JP", "US"), np.ones((count, 5))),
                "awards": self.rng.poisson(0.8 + 2.2 * fine).astype(np.int32),
            }
        )

    def stores(self) -> pl.DataFrame:
        count = self.size.stores
        return pl.DataFrame(
            {
                "~id": _ids("store", count),
                "region": self.pick(REGIONS, np.ones((count, len(REGIONS)))),
                "area": self.around(400, 150, count, 40),
            }
        )

    # -- edges -----------------------------------------------------------------------------------------------------

    def bought(self) -> Table:
        source, target = self.choices(self.size.bought, 0.92)
        quantity = 1 + self.rng.poisson(0.6, len(source)).astype(np.int32)
        properties = {"quantity": pl.Series(quantity), "on": self.dates(len(source), 2024, 730)}
        return self.edges("customer", "bought", "product", source, target, properties)

    def viewed(self) -> Table:
        source, target = self.choices(self.size.viewed, 0.65)
        seconds = self.gaps(self.rng.integers(2, 300, len(source)).astype(np.int32), 0.1)
        return self.edges("customer", "viewed", "product", source, target, {"seconds": seconds})

    def follows(self) -> Table:
        count = round(self.size.customers * self.size.follows)
        source = self.rng.integers(self.size.customers, size=count)
        wanted = self.often[source] ^ ~self.coin(0.72, count)
        source, target = _pairs(source, self.drawn(wanted, self.often, np.ones(self.size.customers)))
        kept = source != target
        since = self.dates(int(kept.sum()), 2021, 1500)
        return self.edges("customer", "follows", "customer", source[kept], target[kept], {"since": since})

    def shops_at(self) -> Table:
        count = self.size.customers
        target = self.rng.integers(self.size.stores, size=count)
        return self.edges("customer", "shops_at", "store", np.arange(count), target, {})

    def in_category(self) -> Table:
        return self.edges("product", "in_category", "category", np.arange(self.size.products), self.category, {})

    def made_by(self) -> Table:
        return self.edges("product", "made_by", "brand", np.arange(self.size.products), self.brand, {})

    def choices(self, mean: float, loyalty: float) -> tuple[Indices, Indices]:
        """Let every customer choose products, by habit or at large; a share (``loyalty``) suits their taste."""
        counts = 3 + self.rng.poisson(max(mean - 3, 0), self.size.customers)
        source = np.repeat(np.arange(self.size.customers), counts)
        wanted = self.taste[source] ^ ~self.coin(loyalty, len(source))
        target = self.drawn(wanted, self.fine, self.popularity)
        shelf = self.favourites[source, self.rng.integers(FAVOURITES, size=len(source))]
        shelves = self.category * 2 + self.fine
        by_habit = self.coin(HABIT, len(source)) & np.isin(shelf * 2 + wanted, shelves)
        target[by_habit] = self.drawn((shelf * 2 + wanted)[by_habit], shelves, self.popularity)
        return _pairs(source, target)

    def drawn(self, wanted: Traits, trait: Traits, weights: NDArray[np.float64]) -> Indices:
        """Draw for every wish one whose trait is as wanted, by weight."""
        target = np.empty(len(wanted), dtype=np.int64)
        for value in np.unique(wanted):
            pool = np.flatnonzero(trait == value)
            chosen = wanted == value
            target[chosen] = self.rng.choice(pool, size=int(chosen.sum()), p=weights[pool] / weights[pool].sum())
        return target

    def edges(
        self, source: str, label: str, target: str, sources: Indices, targets: Indices, properties: dict[str, pl.Series]
    ) -> Table:
        ends = {
            "~from": [f"{source}-{number}" for number in sources],
            "~to": [f"{target}-{number}" for number in targets],
        }
        frame = pl.DataFrame({"~id": _ids(label, len(sources)), **ends, **properties})
        return Table.of(Label.of_edge(source, label, target), frame)


def _ids(label: str, count: int) -> list[str]:
    return [f"{label}-{number}" for number in range(count)]


def _pairs(sources: Indices, targets: Indices) -> tuple[Indices, Indices]:
    """Sort the pairs and leave out those that come again."""
    pairs = np.unique(np.stack([sources, targets], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
