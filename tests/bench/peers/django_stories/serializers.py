"""A story as JSON, field by field: a ModelSerializer would find them out anew for every request."""
# ruff: noqa: N815 - the fields are named as in the JSON

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from tests.bench.peers.django_stories.models import Story
from tests.bench.peers.rest import KINDS
from tests.bench.peers.stories import TAG_LENGTH_MAX, TAGS_MAX, TEXT_LENGTH_MAX

COUNT = {"min_value": -(2**31), "max_value": 2**31 - 1}


class KindField(serializers.Field):
    """The name of a kind, which the table holds as a number."""

    def to_representation(self, value: int) -> str:
        return KINDS[value]

    def to_internal_value(self, data: Any) -> int:
        if data not in KINDS:
            raise serializers.ValidationError(f"must be one of {', '.join(KINDS)}")
        return KINDS.index(data)


class StorySerializer(serializers.Serializer):
    name = serializers.CharField(read_only=True)
    uid = serializers.UUIDField(read_only=True)
    title = serializers.CharField(max_length=TEXT_LENGTH_MAX["title"], trim_whitespace=False)
    url = serializers.CharField(max_length=TEXT_LENGTH_MAX["url"], allow_blank=True)
    text = serializers.CharField(max_length=TEXT_LENGTH_MAX["text"], allow_blank=True, trim_whitespace=False)
    author = serializers.CharField(read_only=True)
    score = serializers.IntegerField(**COUNT)
    commentCount = serializers.IntegerField(source="comment_count", **COUNT)
    kind = KindField()
    tags = serializers.ListField(child=serializers.CharField(max_length=TAG_LENGTH_MAX), max_length=TAGS_MAX)
    annotations = serializers.DictField(child=serializers.CharField(allow_blank=True))
    postTime = serializers.DateTimeField(source="post_time", allow_null=True)
    createTime = serializers.DateTimeField(source="create_time", read_only=True)
    updateTime = serializers.DateTimeField(source="update_time", read_only=True)
    deleteTime = serializers.DateTimeField(source="delete_time", read_only=True)
    purgeTime = serializers.DateTimeField(source="purge_time", read_only=True)
    etag = serializers.CharField(read_only=True)

    def update(self, instance: Story, validated_data: dict[str, Any]) -> Story:
        """Write only what has changed."""
        for column, value in validated_data.items():
            setattr(instance, column, value)
        instance.version += 1
        instance.save(update_fields=(*validated_data, "version", "update_time"))
        return instance
