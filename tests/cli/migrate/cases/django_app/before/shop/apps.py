from django.apps import AppConfig
from django.conf import settings


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        # Imported here, when the settings are there.
        import rudderstack.analytics

        rudderstack.analytics.write_key = settings.RUDDER_WRITE_KEY
        rudderstack.analytics.dataPlaneUrl = settings.RUDDER_DATA_PLANE
        rudderstack.analytics.send = not settings.RUDDER_OFF
