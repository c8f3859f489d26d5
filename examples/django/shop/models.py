"""What the shop itself keeps: no name, no address, no e-mail. `customer_id` leads to those."""
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class User(AbstractBaseUser):
    customer_id = models.CharField(max_length=254, unique=True)  # cus_…; the sign-in form takes its length from here
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)  # not once forgotten
    USERNAME_FIELD = "customer_id"
    objects = BaseUserManager()


class Order(models.Model):
    once = models.UUIDField(unique=True)  # of the form: sent twice, ordered once
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    total = models.DecimalField(max_digits=9, decimal_places=2)
    record_id = models.CharField(max_length=40)  # rec_…, the invoice; empty until Strongroom has it
