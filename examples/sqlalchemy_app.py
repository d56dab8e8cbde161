"""A shop that keeps its orders by SQLAlchemy: no event of an order that was not stored leaves.

Run it: RUDDER_WRITE_KEY=... RUDDER_DATA_PLANE_URL=... python examples/sqlalchemy_app.py
"""

import contextlib
import logging

from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rudder_logging import RudderHandler, track
from rudder_logging.integrations.sqlalchemy import on_commit

logging.basicConfig(level=logging.INFO, handlers=[RudderHandler()])
logger = logging.getLogger("shop")
engine = create_engine("sqlite://")
orders = Table("orders", MetaData(), Column("number", Integer, unique=True))
orders.metadata.create_all(engine)


def place_order(session: Session, number: int) -> None:
    """The event is made here, with this moment's time; it leaves with the commit."""
    session.execute(insert(orders).values(number=number))
    logger.info("Order Placed", extra={"rudder": {"user_id": "42", "properties": {"no": number}}})


with Session(engine) as session, on_commit(session):
    place_order(session, 1)
    with contextlib.suppress(IntegrityError), session.begin_nested():
        place_order(session, 2)
        place_order(session, 1)  # is there: what the savepoint did is undone
    session.commit()

with Session(engine) as session:
    place_order(session, 3)  # leaves at once, though it is never committed
    track("42", "Cart Emptied", on_commit=session)  # does not leave
