"""Through a real Strongroom, one of its own for each test. STRONGROOM_BIN names the program."""
import http.client
import logging
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from importlib import import_module
from io import StringIO
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.test import TransactionTestCase

from .models import Order, User
from .strongroom import call

SERVED = Path(__file__).parents[2] / "shop" / "served.sh"
ADA = {"name": "Ada Quillfeather", "email": "ada.quillfeather@mail.example"}
HOME = {"street": "17 Lobster Pot Lane", "town": "Whitby", "postcode": "YO21 1AA"}
PASSWORD = "a-long-enough-password"


class Shop(TransactionTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        os.environ["STRONGROOM_URL"] = f"http://127.0.0.1:{self.port}"
        for role in ("shop", "desk", "privacy"):
            os.environ[f"STRONGROOM_{role.upper()}_KEY_FILE"] = str(self.folder / "house" / f"{role}.key")
        self.addCleanup(self.stop)
        self.serve()
        self.log = logging.StreamHandler(StringIO())
        logging.getLogger().addHandler(self.log)
        logging.getLogger("django").addHandler(self.log)
        self.addCleanup(logging.getLogger().removeHandler, self.log)
        self.addCleanup(logging.getLogger("django").removeHandler, self.log)

    def serve(self):
        house = self.folder / "house"
        with open(self.folder / "log", "ab") as log:
            self.server = subprocess.Popen(["sh", SERVED, house, str(self.port)], stdout=log, stderr=log)
        ends = time.monotonic() + 60
        while not (house / "port").exists():
            self.assertIsNone(self.server.poll(), (self.folder / "log").read_text())
            self.assertLess(time.monotonic(), ends, "Strongroom does not come up")
            time.sleep(0.05)

    def stop(self):
        self.server.terminate()
        self.server.wait(30)
        (self.folder / "house" / "port").unlink(missing_ok=True)

    def sign_up(self, **more):
        return self.client.post("/sign-up", {**ADA, "password": PASSWORD, "once": uuid4(), **more})

    def staff(self):
        """Somebody who works here is signed in, and Ada is a customer."""
        boss = User.objects.create(customer_id="staff", is_staff=True)
        self.client.force_login(boss)
        self.assertContains(self.sign_up(), "Thank you")
        return User.objects.get(is_staff=False)

    def version(self, ada):
        return re.search(r'name="version" value="(\d+)"', self.client.get(f"/customers/{ada.pk}").text)[1]

    def order(self, ada, **more):
        bill = {"name": ADA["name"], **HOME, "total": "12.50", "once": uuid4()}
        return self.client.post(f"/customers/{ada.pk}/order", {**bill, **more})

    def test_the_table_and_the_log_hold_nothing_personal(self):
        ada = self.staff()
        self.assertRedirects(self.order(ada), f"/customers/{ada.pk}")
        changed = {"name": "", "email": "", **HOME, "version": self.version(ada)}
        self.assertRedirects(self.client.post(f"/customers/{ada.pk}/change", changed), f"/customers/{ada.pk}")
        revealed = self.client.post(f"/customers/{ada.pk}/reveal", {"reason": "customer called"})
        self.assertContains(revealed, HOME["street"])
        self.assertEqual(revealed["Cache-Control"], "no-store")
        # A fault of our own, while a form is on its way: the key file is gone.
        key = self.folder / "house" / "shop.key"
        key.rename(key.with_suffix(".away"))
        self.client.raise_request_exception = False
        fault = self.sign_up()
        # The runner turns DEBUG off for itself, so the file is asked.
        self.assertEqual((fault.status_code, import_module(settings.SETTINGS_MODULE).DEBUG), (500, False))
        table = b"".join(file.read_bytes() for file in settings.DATA.glob("test.sqlite3*"))
        self.assertIn(ada.customer_id.encode(), table)
        self.assertIn("/sign-up", self.log.stream.getvalue())
        for value in [*ADA.values(), *HOME.values(), "Quillfeather"]:
            for kept in (table, self.log.stream.getvalue().encode(), fault.content):
                self.assertNotIn(value.lower().encode(), kept.lower())

    def test_who_signs_in_types_an_e_mail_that_the_table_does_not_have(self):
        self.sign_up()
        typed = {"username": ADA["email"].upper(), "password": PASSWORD}
        self.assertContains(self.client.post("/sign-in", {**typed, "password": "wrong"}), "not right")
        self.assertRedirects(self.client.post("/sign-in", typed), "/thanks")
        self.assertEqual(self.client.get("/").status_code, 302)  # a customer is no staff
        self.assertNotIn("quillfeather", str(dict(self.client.session)).lower())

    def test_a_form_sent_twice_makes_nobody_twice(self):
        once = uuid4()
        for _ in range(2):
            self.assertContains(self.sign_up(once=once), "Thank you")
        self.assertEqual(User.objects.count(), 1)
        taken = self.sign_up()
        self.assertEqual(taken.status_code, 409)
        self.assertContains(taken, ADA["email"], status_code=409)
        self.client.force_login(User.objects.create(customer_id="staff", is_staff=True))
        ada, once = User.objects.get(is_staff=False), uuid4()
        for _ in range(2):
            self.order(ada, once=once)
        at = f"/v1/customers/{ada.customer_id}/records?fields=invoice.number,invoice.total"
        self.assertEqual([i["fields"] for i in call("shop", "GET", at)["items"]], [{"number": "1", "total": 12.5}])
        self.assertEqual(Order.objects.count(), 1)

    def test_the_list_is_masked_and_a_budget_spent_is_told_kindly(self):
        self.client.force_login(User.objects.create(customer_id="staff", is_staff=True))
        self.assertContains(self.client.get("/"), "Page 1 of 1")
        one = {"relations": [{"name": "enquiry"}]}
        items = [one | {"ref": f"t/{n}", "fields": {"name": f"Nell Marsh{n}"}} for n in range(230)]
        made = call("shop", "POST", "/v1/customers:batch", {"items": items})["items"]
        User.objects.bulk_create(User(customer_id=item["id"]) for item in made)
        for number in range(1, 5):
            listed = self.client.get(f"/?page={number}")
            self.assertContains(listed, "N••••", 50)
            self.assertNotContains(listed, "Marsh")
        spent = self.client.get("/?page=5")
        self.assertContains(spent, "Enough for today", status_code=429)
        self.assertGreater(int(spent["Retry-After"]), 0)

    def test_who_was_slower_looks_again_and_loses_nothing(self):
        ada = self.staff()
        old = self.version(ada)
        typed = {"name": "", "email": "ada@new.example", "street": "", "town": "", "postcode": "", "version": old}
        self.assertEqual(self.client.post(f"/customers/{ada.pk}/change", typed).status_code, 302)
        typed["email"] = "ada@newer.example"
        slower = self.client.post(f"/customers/{ada.pk}/change", typed)
        self.assertContains(slower, "ada@newer.example", status_code=412)
        typed["version"] = re.search(r'name="version" value="(\d+)"', slower.text)[1]
        self.assertEqual(self.client.post(f"/customers/{ada.pk}/change", typed).status_code, 302)

    def test_who_is_forgotten_is_gone_but_for_what_the_law_keeps(self):
        ada = self.staff()
        self.order(ada)
        said = self.client.post(f"/customers/{ada.pk}/forget")
        self.assertContains(said, "because of tax law: invoice.billing_address")
        self.assertEqual(self.client.get(f"/customers/{ada.pk}").status_code, 404)
        self.assertNotContains(self.client.get("/"), f"/customers/{ada.pk}")
        self.assertEqual(Order.objects.count(), 1)  # the shop's own figures stay
        signed_in = self.client.post("/sign-in", {"username": ADA["email"], "password": PASSWORD})
        self.assertContains(signed_in, "not right")

    def test_when_strongroom_is_down_nothing_typed_is_lost_and_nothing_is_shown(self):
        ada = self.staff()
        self.stop()
        for asked in (self.client.get("/"), self.client.get(f"/customers/{ada.pk}")):
            self.assertContains(asked, "One moment", status_code=503)
            self.assertEqual(asked["Retry-After"], "30")
        typed = {"name": "Bo Marsh", "email": "bo@mail.example"}
        down = self.sign_up(**typed)
        self.assertContains(down, 'value="bo@mail.example"', status_code=503)
        self.assertNotContains(down, PASSWORD, status_code=503)
        self.assertEqual(User.objects.filter(is_staff=False).count(), 1)
        self.serve()
        once = re.search(r'name="once" value="([^"]+)"', down.text)[1]
        self.assertContains(self.sign_up(**typed, once=once), "Thank you")

    def test_nothing_is_changed_by_a_link(self):
        ada = self.staff()
        self.assertEqual(self.client.get(f"/customers/{ada.pk}/forget").status_code, 405)
        self.client.logout()
        self.assertEqual(self.client.post(f"/customers/{ada.pk}/forget").status_code, 302)
        self.assertTrue(User.objects.get(pk=ada.pk).is_active)
