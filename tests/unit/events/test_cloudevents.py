"""What an event is made of, without a broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entresol.app import load_model
from entresol.config import Settings
from entresol.events.cloudevents import CREATED, DELETED, RESET, Moment, event
from entresol.schema.model import Resource

PROTOS = Path(__file__).parents[2] / "integration" / "events" / "protos"
MOMENT = Moment(timeline=1, position=0x1A2B3C4, time_s=1_769_851_800.5)


@pytest.fixture(scope="module")
def book() -> Resource:
    return load_model(Settings.load({}, protos=str(PROTOS))).resources["shelf.example.com/Book"]


def test_only_who_asks_for_it_is_published() -> None:
    resources = load_model(Settings.load({}, protos=str(PROTOS))).resources.values()
    assert [one.message for one in resources if one.is_published] == ["shelf.v1.Book"]


def test_an_event_tells_record_place_and_time_as_cloudevents_does(book: Resource) -> None:
    record = book.message_class(name="books/a", copies=2).SerializeToString()
    found = event(book, CREATED, "books/a", MOMENT, 3, record)
    assert found.headers == {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": "1-0000000001a2b3c4-3",
        "cloudEvents_source": "//shelf.example.com",
        "cloudEvents_type": "shelf.v1.Book.created",
        "cloudEvents_time": "2026-01-31T09:30:00.500000Z",
        "cloudEvents_subject": "books/a",
        "cloudEvents_dataschema": "https://type.googleapis.com/shelf.v1.Book",
    }
    assert json.loads(found.data) == {"name": "books/a", "copies": 2}
    assert (found.id, found.type) == ("1-0000000001a2b3c4-3", "shelf.v1.Book.created")


def test_without_a_record_there_is_no_body_and_without_a_name_no_subject(book: Resource) -> None:
    deleted, reset = (
        event(book, DELETED, "books/a", MOMENT, 0),
        event(book, RESET, "", MOMENT, 0),
    )
    assert (deleted.data, reset.data) == (b"", b"")
    assert "dataschema" not in deleted.attributes
    assert "subject" not in reset.attributes


def test_ids_differ_by_place_position_and_timeline(book: Resource) -> None:
    moments = [MOMENT, Moment(2, MOMENT.position, 0), Moment(1, 5, 0)]
    ids = {event(book, RESET, "", moment, index).id for moment in moments for index in (0, 1)}
    assert len(ids) == 6
