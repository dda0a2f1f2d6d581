"""Every address of the site: sign-in, the health probe, and the admin at the root of everything else."""

from django.urls import include, path
from django.views.generic import RedirectView

from config.health import healthz
from portal import enrolment, passkey
from portal.site import site

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("portal.urls")),
    path("passkey/", passkey.make, name="passkey"),
    path("enrol/<uuid:invitation_id>/", enrolment.enrol, name="enrol"),
    path("admin/", site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
]
