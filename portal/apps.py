from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        """Register the checks and the pages; the admin is not autodiscovered, so that nobody's table appears unasked."""
        from portal import checks, site
        from portal.admin import register

        assert checks  # noqa: S101 - importing it registers the checks
        register(site.site)
