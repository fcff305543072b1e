"""Django's settings: the primary for writes, the replica for reads, and every get cached."""

from __future__ import annotations

from typing import Any

from psycopg.conninfo import conninfo_to_dict
from tests.bench.peers.flags import Flags
from tests.bench.peers.stories import TTL_S

PACKAGE = "tests.bench.peers.django_stories"
flags = Flags.from_environment()


def database(url: str) -> dict[str, Any]:
    """Return a database whose connection every thread keeps."""
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "CONN_MAX_AGE": None,
    }


SECRET_KEY = "nothing is signed"
ALLOWED_HOSTS = ("*",)
ROOT_URLCONF = f"{PACKAGE}.urls"
INSTALLED_APPS = ("cacheops", "rest_framework", PACKAGE)
MIDDLEWARE = ()
USE_TZ = True
TIME_ZONE = "UTC"
DATABASES = {"default": database(flags.database_write), "replica": database(flags.database_read)}
DATABASE_ROUTERS = (f"{PACKAGE}.router.ReadsFromReplica",)

CACHEOPS_ENABLED = bool(flags.cache)
CACHEOPS_REDIS = f"{flags.cache}{'&' if '?' in flags.cache else '?'}socket_timeout=0.25"
CACHEOPS_DEGRADE_ON_FAILURE = True
CACHEOPS = {"django_stories.story": {"ops": "get", "timeout": TTL_S}}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ("rest_framework.renderers.JSONRenderer",),
    "DEFAULT_PARSER_CLASSES": ("rest_framework.parsers.JSONParser",),
    "DEFAULT_AUTHENTICATION_CLASSES": (),
    "DEFAULT_PERMISSION_CLASSES": (),
    "UNAUTHENTICATED_USER": None,
}
