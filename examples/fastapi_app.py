"""A shop in FastAPI: its events know the user, the visitor, the address and the page.

Run it: uvicorn examples.fastapi_app:app (with RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL set)
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import BackgroundTasks, Cookie, Depends, FastAPI

from rudder_logging import RudderHandler, current
from rudder_logging.integrations.asgi import RudderMiddleware

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler(), logging.StreamHandler()])
shop = logging.getLogger("shop")

app = FastAPI()
app.add_middleware(RudderMiddleware)


async def sign_in(token: Annotated[str | None, Cookie()] = None) -> None:
    """Have the user's id on all events after that: your app asks its sessions for it."""
    current().set(user_id=token and token.removeprefix("token-of-"))


@app.get("/products/{sku}", dependencies=[Depends(sign_in)])
def product(sku: str) -> str:
    """Show a product."""
    shop.info("Product Viewed", extra={"rudder": {"properties": {"sku": sku}}})
    return sku


@app.post("/orders/{number}", dependencies=[Depends(sign_in)])
async def order(number: str, tasks: BackgroundTasks) -> None:
    """Take an order, and ship it when that is answered."""
    event = {"properties": {"order_id": number}}
    shop.info("Order Completed", extra={"rudder": event})
    tasks.add_task(shop.info, "Order Shipped", extra={"rudder": event})
