"""The admin site: the one place that decides what the portal shows."""

from django.contrib.admin import AdminSite


class PortalSite(AdminSite):
    """Countersign's own admin site."""

    site_title = "Countersign"
    site_header = "Countersign"
    index_title = "Review"


site = PortalSite(name="admin")
