"""The pages of a tiny shop. Customers' data passes through to the page that shows it and stays nowhere."""
import logging
from functools import partial
from uuid import uuid4

from django.contrib.auth import password_validation
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.decorators import user_passes_test
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.http import require_POST

from .models import Order, User
from .strongroom import Problem, call

page = partial(TemplateResponse, headers={"Cache-Control": "no-store"})
staff_only = user_passes_test(lambda user: user.is_staff)


class KindProblems(MiddlewareMixin):
    def process_exception(self, request, error):
        """What was refused, or could not be asked, is a page that says so and gives back what was typed."""
        if isinstance(error, ValidationError):
            error = Problem(422, {"code": "invalid", "detail": " ".join(error.messages)})
        if not isinstance(error, Problem):
            return None
        if error.status in (400, 401, 403):  # a key that ended, a changed policy: nothing the visitor can mend
            logging.error("Strongroom refuses this program: %s", error)
            error = Problem(503, error.said, "300")
        headers = {"Cache-Control": "no-store"} | ({"Retry-After": error.retry_after} if error.retry_after else {})
        typed = {name: value for name, value in request.POST.items() if name != "csrfmiddlewaretoken"}
        return TemplateResponse(request, "problem.html", {"problem": error, "typed": typed}, None, error.status,
                                headers=headers)


class ByEmail(ModelBackend):
    def authenticate(self, request, username=None, password=None):
        """Whoever signs in types an e-mail address; Strongroom says whose it is."""
        found = call("shop", "POST", "/v1/customers/lookup", {"email": username})["customers"]
        user = User.objects.filter(customer_id__in=found, is_active=True).first()
        # Nobody's password is checked too, so that the time it takes tells nobody who is a customer.
        return user if (user or User()).check_password(password) else None


def sign_up(request):
    if request.method != "POST":
        return page(request, "sign_up.html", {"once": uuid4()})
    typed = request.POST
    password_validation.validate_password(typed["password"])
    asked = {"relations": [{"name": "enquiry"}], "fields": {"name": typed["name"], "email": typed["email"]}}
    made = call("shop", "POST", "/v1/customers", asked, idempotency_key=typed["once"])
    user, is_new = User.objects.get_or_create(customer_id=made["id"])
    if is_new:
        user.set_password(typed["password"])
        user.save()
    return page(request, "thanks.html")


@staff_only
def customers(request):
    known = User.objects.filter(is_active=True, is_staff=False).order_by("-pk")
    shown = Paginator(known, 50).get_page(request.GET.get("page"))
    asked = {"ids": [user.customer_id for user in shown], "fields": ["name"]}
    read = call("desk", "POST", "/v1/customers/read", asked, request.user.pk)["customers"] if shown else []
    names = {one["id"]: one["fields"].get("name") for one in read}
    return page(request, "customers.html", {"page": shown, "rows": [(u, names.get(u.customer_id)) for u in shown]})


@staff_only
def customer(request, pk, act="show"):
    row = get_object_or_404(User, pk=pk, is_active=True)
    at, typed, staff, more, status = f"/v1/customers/{row.customer_id}", request.POST, request.user.pk, {}, 200
    if act == "change":
        fields = {name: typed[name] for name in ("name", "email") if typed[name]} | address(typed, "address")
        try:
            call("shop", "PATCH", at, {"fields": fields}, staff, if_match=f'"{typed["version"]}"')
        except Problem as problem:
            if problem.status != 412:
                raise
            more, status = {"typed": typed}, 412  # somebody was faster: look again, what was typed is still there
    elif act == "reveal":
        asked = {"fields": ["name", "email", "address"], "reason": typed["reason"]}
        more["clear"] = call("desk", "POST", at + "/reveal", asked, staff)["fields"]
    elif act == "order":
        order, _ = Order.objects.get_or_create(once=typed["once"], defaults={"user": row, "total": typed["total"]})
        bill = {"number": str(order.pk), "total": typed["total"], "billing_name": typed["name"]}
        asked = {"kind": "invoice", "fields": bill | address(typed, "billing_address")}
        record = call("shop", "POST", at + "/records", asked, staff, idempotency_key=typed["once"])
        order.total, order.record_id = typed["total"], record["id"]
        order.save()
    elif act == "forget":
        answer = call("privacy", "DELETE", at, None, staff)
        User.objects.filter(pk=pk).update(is_active=False)
        return page(request, "forgotten.html", {"answer": answer})
    if act in ("change", "order") and status == 200:
        return redirect("customer", pk)
    shown = call("desk", "GET", at + "?fields=name,email,address", None, staff)
    more |= {"row": row, "shown": shown, "orders": row.order_set.exclude(record_id=""), "once": uuid4()}
    return page(request, "customer.html", more, None, status)


def address(typed, field):
    lines = {"lines": [typed["street"]], "city": typed["town"], "postcode": typed["postcode"]}
    return {field: lines} if typed["street"] else {}


urlpatterns = [
    path("", customers),
    path("sign-up", sign_up),
    path("sign-in", LoginView.as_view(template_name="sign_in.html", next_page="/thanks")),
    path("thanks", lambda request: page(request, "thanks.html")),
    path("customers/<int:pk>", customer, name="customer"),
    path("customers/<int:pk>/<str:act>", require_POST(customer)),
]
