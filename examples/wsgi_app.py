"""A shop without a framework, whose answer is a stream: the request's scope lasts to its end.

Run it: gunicorn examples.wsgi_app:app (with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rudder_logging import RudderHandler
from rudder_logging.integrations.wsgi import RudderMiddleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler(), logging.StreamHandler()])
shop = logging.getLogger("shop")


def catalogue(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
    """Send three products, one after the other."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for sku in ("A-1", "B-2", "C-3"):
        shop.info("Product Viewed", extra={"rudder": {"properties": {"sku": sku}}})
        yield f"{environ['SCRIPT_NAME']}/{sku}\n".encode()


app = RudderMiddleware(catalogue)
