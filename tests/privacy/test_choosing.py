"""Events that may leave, and the parts of them that may."""

from __future__ import annotations

from typing import Any

from rudder_logging.privacy.choosing import EventChoice, Paths, first_named, name_of_event

from ..each import each


@each(
    ("event", "name"),
    [
        ({"type": "track", "event": "Order Completed"}, "Order Completed"),
        ({"type": "page", "name": "Home"}, "Home"),
        ({"type": "screen"}, "screen"),
        ({"type": "identify", "name": "x", "event": "y"}, "identify"),
    ],
)
def test_names(event: dict[str, Any], name: str) -> None:
    """An event's own; else its type."""
    assert name_of_event(event) == name


@each(
    ("allowed", "denied", "admitted"),
    [
        (None, (), "all"),
        (("Order *",), (), ["Order Completed", "Order [x]"]),
        (None, ("Order *", "identify"), ["Page", "order"]),
        (("Order Completed", "identify"), ("identify",), ["Order Completed"]),
        (("Order [x]",), (), ["Order [x]"]),
        (("O*r*ed",), (), ["Order Completed"]),
        ((), (), []),
    ],
)
def test_choice(allowed: Any, denied: Any, admitted: Any) -> None:
    """What is denied is so even if it is allowed; `*` alone has a meaning of its own."""
    names = ["Order Completed", "Order [x]", "Page", "order", "identify"]
    choice = EventChoice(allowed, denied)
    assert [name for name in names if choice.admits(name)] == (
        names if admitted == "all" else admitted
    )


def test_an_own_entry_comes_before_one_with_a_star() -> None:
    """And of these, the first that fits."""
    entries = {"*": 1, "Order *": 2, "Order Paid": 3}
    assert [first_named(entries, name) for name in ("Order Paid", "Order X")] == [3, 1]
    assert first_named({"Order *": 2}, "Page") is None


ORDER = {
    "revenue": 9,
    "note": "n",
    "products": [{"sku": "a", "name": "A"}, {"name": "B"}, 7],
    "address": {"city": "X", "geo": {"lat": 1, "lon": 2}},
}


@each(
    ("paths", "kept"),
    [
        (["revenue"], {"revenue": 9}),
        (["products[].sku"], {"products": [{"sku": "a"}, {}]}),
        (["products"], {"products": ORDER["products"]}),
        (["products[].sku", "products"], {"products": ORDER["products"]}),
        (["products", "products[].sku"], {"products": ORDER["products"]}),
        (["address.geo.lat"], {"address": {"geo": {"lat": 1}}}),
        (["address.geo.lat", "address.city"], {"address": {"city": "X", "geo": {"lat": 1}}}),
        (["products[]"], {"products": ORDER["products"]}),
        (["products.sku", "revenue[]", "missing"], {}),
    ],
)
def test_paths(paths: list[str], kept: dict[str, Any]) -> None:
    """Only what is named stays of properties and traits; a container's path keeps all in it."""
    event = {
        "userId": "u",
        "properties": ORDER,
        "context": {"ip": "1.2.3.4", "traits": ORDER},
        "traits": ORDER,
    }
    Paths(paths).keep(event)
    assert event == {
        "userId": "u",
        "properties": kept,
        "context": {"ip": "1.2.3.4", "traits": kept},
        "traits": kept,
    }
