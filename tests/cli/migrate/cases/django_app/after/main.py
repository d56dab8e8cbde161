import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF="shop.urls",
    INSTALLED_APPS=["shop.apps.ShopConfig"],
    RUDDER_WRITE_KEY=os.environ["WRITE_KEY"],
    RUDDER_DATA_PLANE=os.environ["DATA_PLANE_URL"],
    RUDDER_OFF=False,
)
django.setup()

from django.test import Client  # noqa: E402
import rudder_logging as analytics  # noqa: E402

Client().get("/buy")
analytics.flush()
