from importlib import import_module

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        """Register the checks and the pages; the admin is not autodiscovered, so that nobody's table appears unasked."""
        import_module("portal.checks")
        register = import_module("portal.admin").register
        register(import_module("portal.site").site)
