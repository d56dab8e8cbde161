"""Events as JSON lines on stdout, among ordinary ones: for a log shipper, or to look at.

Run it: python examples/stdout_events.py
"""

from __future__ import annotations

import logging
import sys

from rudder_logging import RudderFormatter

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(RudderFormatter("%(levelname)s %(name)s %(message)s"))
logger = logging.getLogger("shop")
logger.addHandler(handler)
logger.setLevel(logging.INFO)

logger.info("the shop is open", extra={"clerk": "Ada"})
logger.info(
    "Product Viewed", extra={"rudder": {"user_id": "123456", "properties": {"sku": "G-32"}}}
)
