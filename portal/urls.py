"""The addresses of sign-in: those parts of allauth that this portal wants, and no others.

Left out on purpose: sign-up, adding mail addresses, changing or resetting a password by mail, and connecting further identities.
Each would be a way past the two persons who decide who somebody is.
"""

from allauth.account import views as account
from allauth.socialaccount import views as socialaccount
from django.conf import settings
from django.urls import include, path

from portal import demo, sso

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("2fa/", include("allauth.mfa.urls")),
    path("3rdparty/login/cancelled/", socialaccount.login_cancelled, name="socialaccount_login_cancelled"),
    path("3rdparty/login/error/", socialaccount.login_error, name="socialaccount_login_error"),
    path("oidc/<str:provider_id>/login/", sso.begin, name="openid_connect_login"),
    path("oidc/<str:provider_id>/login/callback/", sso.back, name="openid_connect_callback"),
]

if settings.DEMO:
    urlpatterns.append(path("demo/", demo.sign_in, name="demo_sign_in"))
