"""Get and update one story."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from tests.bench.peers.django_stories.models import Story
from tests.bench.peers.django_stories.serializers import StorySerializer
from tests.bench.peers.errors import InvalidError
from tests.bench.peers.rest import COLUMNS, columns_of


class ConflictError(APIException):
    status_code = 409


class StoryView(RetrieveAPIView):
    queryset = Story.objects.all()
    serializer_class = StorySerializer
    lookup_field = "name"

    def patch(self, request: Request, name: str) -> Response:
        change = masked(request)
        with transaction.atomic():
            story = get_object_or_404(Story.objects.select_for_update(), name=name)
            if request.data.get("etag", story.etag) not in ("", story.etag):
                raise ConflictError(f"{name} has changed")
            serializer = self.get_serializer(story, data=change, partial=True)
            serializer.is_valid(raise_exception=True)
            serializer.save()
        return Response(serializer.data)


def masked(request: Request) -> dict[str, Any]:
    """Return the fields of the body that the mask names."""
    sent = {COLUMNS[field]: field for field in request.data if field in COLUMNS}
    try:
        columns = columns_of(request.query_params.get("updateMask", ""), sent)
    except InvalidError as error:
        raise ValidationError({"detail": str(error)}) from error
    return {sent[column]: request.data[sent[column]] for column in columns}
