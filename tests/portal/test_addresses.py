"""Addresses and forms that nobody's page makes: refused in words, never an error of ours."""

from __future__ import annotations

import pytest

REQUESTS = "/admin/approvals/approvalrequest/"


@pytest.mark.parametrize(
    "address",
    [
        f"{REQUESTS}?operation=%00",
        f"{REQUESTS}?state__exact=%00",
        f"{REQUESTS}?source__exact=%00",
        f"{REQUESTS}?q=%00",
        "/admin/approvals/alert/?kind=%00",
        "/admin/approvals/auditentry/?kind=%00",
        "/admin/approvals/account/%00/change/",
        f"{REQUESTS}?target__regex=(",
        f"{REQUESTS}?requester__logins__user__password__startswith=a",
        "/admin/approvals/auditentry/?body__regex=(",
        "/admin/approvals/person/?handle__regex=(",
    ],
)
def test_an_address_of_a_visitors_own_making_is_answered_with_400(address, browser):
    """A NUL, or a lookup that no filter offers, never reaches the database."""
    assert browser("dana").get(address).status_code == 400


def test_a_nul_in_a_form_is_answered_with_400(browser):
    """Nothing is changed, and the answer says what to do."""
    answer = browser("alice").post(f"{REQUESTS}file/", {"place": "111122223333/eu-west-1\0", "operation": "dynamodb:DeleteTable"})
    assert answer.status_code == 400
    assert b"NUL" in answer.content


def test_the_filters_that_a_page_offers_work(browser):
    """What the page itself links to is allowed."""
    assert browser("dana").get(f"{REQUESTS}?state__exact=draft&source__exact=filed").status_code == 200
