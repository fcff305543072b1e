"""The one path of the service."""

from __future__ import annotations

from django.urls import re_path
from tests.bench.peers.django_stories.views import StoryView

urlpatterns = (re_path(r"^v1/(?P<name>stories/[^/:]+)$", StoryView.as_view()),)
