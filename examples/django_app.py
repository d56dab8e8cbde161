"""A shop in Django, with users and sessions in SQLite: its events know user, visitor and page.

Run it: python -m examples.django_app migrate, then gunicorn examples.django_app:wsgi_app
"""

import logging
import os
import sys

from django.core import asgi, management, wsgi
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse
from django.urls import path

from rudder_logging import on_commit

ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
INSTALLED_APPS += ["rudder_logging.integrations.django"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
MIDDLEWARE += ["django.contrib.auth.middleware.AuthenticationMiddleware"]
MIDDLEWARE += ["rudder_logging.integrations.django.RudderMiddleware"]
ROOT_URLCONF = os.environ["DJANGO_SETTINGS_MODULE"] = __name__
RUDDER = {"DRAIN_ON_SIGTERM": True, "CONTEXT": {"IP": "remote"}}  # and WRITE_KEY, DATA_PLANE_URL
SECRET_KEY = "an example's"  # noqa: S105 - yours is a secret


def buy(request: HttpRequest, sku: str) -> HttpResponse:
    """Sell something: an order that is rolled back sends no event."""
    with atomic(), on_commit():
        request.user.save()
        logging.getLogger("shop").info("Order Completed", extra={"rudder": {}})
    return HttpResponse(sku)


urlpatterns = [path("buy/<sku>", buy)]
wsgi_app, asgi_app = wsgi.get_wsgi_application(), asgi.get_asgi_application()
if __name__ == "__main__":
    management.execute_from_command_line(sys.argv)
