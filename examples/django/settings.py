"""DEBUG stays off: its error pages show what was typed and every local variable."""
import os
import secrets
from pathlib import Path

DATA = Path(os.environ.get("SHOP_DATA", "."))
DEBUG = False
ADMINS = []  # error mails hold what was typed
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
SECRET_KEY = os.environ.get("SHOP_SECRET") or secrets.token_urlsafe(50)  # a fresh one ends all sessions
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "shop"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "shop.views.KindProblems",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / "shop.sqlite3",
                         "TEST": {"NAME": DATA / "test.sqlite3"}}}
TIME_ZONE = "Europe/London"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = ["shop.views.ByEmail"]
AUTH_USER_MODEL, ROOT_URLCONF, LOGIN_URL = "shop.User", "shop.views", "/sign-in"
