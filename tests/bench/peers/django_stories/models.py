"""The table of the peers as a model, which `schema.sql` makes."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from tests.bench.peers.stories import etag_of


class Story(models.Model):
    # cacheops forgets single entries by fields of characters, and whole tables by texts.
    name = models.CharField(primary_key=True, max_length=71)
    uid = models.UUIDField()
    title = models.TextField()
    url = models.TextField()
    text = models.TextField()
    author = models.TextField()
    score = models.IntegerField()
    comment_count = models.IntegerField()
    kind = models.IntegerField()
    tags = ArrayField(models.TextField())
    annotations = models.JSONField()
    post_time = models.DateTimeField(null=True)
    create_time = models.DateTimeField()
    update_time = models.DateTimeField(auto_now=True)
    delete_time = models.DateTimeField(null=True)
    purge_time = models.DateTimeField(null=True)
    version = models.BigIntegerField()

    class Meta:
        """Not made by Django."""

        managed = False
        db_table = "stories"

    @property
    def etag(self) -> str:
        return etag_of(self.version)
