from django.apps import AppConfig
from django.conf import settings


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        # Imported here, when the settings are there.
        import rudder_logging

        rudder_logging.write_key = settings.RUDDER_WRITE_KEY
        rudder_logging.dataPlaneUrl = settings.RUDDER_DATA_PLANE
        rudder_logging.send = not settings.RUDDER_OFF
