"""Rule 17: how methods are called over HTTP."""

from __future__ import annotations

import pytest

from entresol.errors import SchemaError
from entresol.schema.load import load

GET = '{get: "/v1/{name=shelves/*/books/*}"}'
LIST = '{get: "/v1/{parent=shelves/*}/books"}'
CREATE = '{post: "/v1/{parent=shelves/*}/books" body: "book"}'
BATCH_CREATE = '{post: "/v1/{parent=shelves/*}/books:batchCreate" body: "*"}'
UPDATE = '{patch: "/v1/{book.name=shelves/*/books/*}" body: "book"}'
DELETE = '{delete: "/v1/{name=shelves/*/books/*}"}'
LEND = '{post: "/v1/{name=shelves/*/books/*}:lend" body: "*"}'
BORROWER = "string borrower = 2 [(google.api.field_behavior) = REQUIRED];"


@pytest.mark.edits((f"    option (google.api.http) = {LEND};\n", ""))
def test_rule_17_every_method_is_called_over_http(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-127 LibraryService.LendBook: has no (google.api.http)"]


@pytest.mark.edits(
    (f"    option (google.api.http) = {LEND};\n", ""),
    (
        "rpc LendBook(LendBookRequest) returns (LendBookResponse)",
        "rpc LendBook(stream LendBookRequest) returns (stream LendBookResponse)",
    ),
)
def test_rule_17_but_one_that_streams_both_ways(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((GET, '{post: "/v1/{name=shelves/*/books/*}"}'))
def test_rule_17_get_is_called_by_get(mistakes: list[str]) -> None:
    assert "AIP-131 LibraryService.GetBook: is called by POST" in mistakes


@pytest.mark.edits((UPDATE, UPDATE.replace("patch", "put")))
def test_rule_17_update_is_called_by_patch(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-134 LibraryService.UpdateBook: is called by PUT"]


@pytest.mark.edits((DELETE, '{post: "/v1/{name=shelves/*/books/*}:delete" body: "*"}'))
def test_rule_17_delete_is_called_by_delete(mistakes: list[str]) -> None:
    assert "AIP-135 LibraryService.DeleteBook: is called by POST" in mistakes


@pytest.mark.edits((LEND, LEND.replace("post", "patch")))
def test_rule_17_a_custom_method_is_called_by_post_or_get(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-136 LibraryService.LendBook: is called by PATCH"]


@pytest.mark.edits((LEND, '{custom: {kind: "LEND" path: "/v1/{name=shelves/*/books/*}"}}'))
def test_rule_17_a_verb_is_an_http_verb(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-127 LibraryService.LendBook: verb 'LEND' is not an HTTP verb"]


@pytest.mark.edits((GET, '{get: "/v1/{name=shelves/*/books/*}" body: "*"}'))
def test_rule_17_get_has_no_body(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.GetBook: GET has the body '*'" in mistakes


@pytest.mark.edits((DELETE, '{delete: "/v1/{name=shelves/*/books/*}" body: "*"}'))
def test_rule_17_delete_has_no_body(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.DeleteBook: DELETE has the body '*'" in mistakes


@pytest.mark.edits((CREATE, CREATE.replace('"book"', '"*"')))
def test_rule_17_the_body_of_create_is_the_resource(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 LibraryService.CreateBook: has the body '*'"]


@pytest.mark.edits((LEND, LEND.replace('"*"', '"borrower"')))
def test_rule_17_the_body_of_a_custom_method_is_the_request(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-136 LibraryService.LendBook: has the body 'borrower'"]


@pytest.mark.edits(
    (LEND, LEND.replace('"*"', '"page"')),
    (BORROWER, BORROWER + " google.api.HttpBody page = 3 [(google.api.field_behavior) = OPTIONAL];"),
)
def test_rule_17_or_raw_bytes(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((CREATE, CREATE.replace('"book"', '"volume"')))
def test_rule_17_the_body_is_a_field(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.CreateBook: body 'volume' is no field of CreateBookRequest" in mistakes


@pytest.mark.edits((CREATE, CREATE.replace('"book"', '"book.title"')))
def test_rule_17_the_body_is_not_nested(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.CreateBook: body 'book.title' is a field of a field" in mistakes


@pytest.mark.edits((BATCH_CREATE, BATCH_CREATE.replace('"*"', '"requests"')))
def test_rule_17_the_body_is_not_repeated(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.BatchCreateBooks: body 'requests' is repeated" in mistakes


@pytest.mark.edits((LEND, LEND.replace('"*"', '"name"')))
def test_rule_17_the_body_is_not_in_the_path(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.LendBook: body 'name' is also in the path" in mistakes


@pytest.mark.edits((GET, '{get: "/v1/{name=shelves/*}/books"}'))
def test_rule_17_a_path_variable_takes_the_whole_name(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.GetBook: path variable 'name' has the template 'shelves/*'" in mistakes


@pytest.mark.edits((GET, '{get: "/v1/books/{name}"}'))
def test_rule_17_a_path_variable_without_a_template_is_one_segment(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-127 LibraryService.GetBook: path variable 'name' has the template '*'"]


@pytest.mark.edits((UPDATE, '{patch: "/v1/{book.name=books/*}" body: "book"}'))
def test_rule_17_a_variable_inside_the_resource_takes_its_whole_name(mistakes: list[str]) -> None:
    assert mistakes == [
        "AIP-127 LibraryService.UpdateBook: path variable 'book.name' has the template 'books/*'"
    ]


@pytest.mark.edits((LIST, '{get: "/v1/{parent=racks/*}/books"}'))
def test_rule_17_the_parent_of_a_list_is_a_parent(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-127 LibraryService.ListBooks: path variable 'parent' has the template 'racks/*'"]


@pytest.mark.edits((LIST, '{get: "/v1/books"}'))
def test_rule_17_a_list_below_a_parent_has_it_in_the_path(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 LibraryService.ListBooks: path '/v1/books' holds no variable"]


SHELVES = 'get: "/v1/shelves"'
NOT_THE_RESOURCES = "is not what the resource's pattern gives"


@pytest.mark.edits((SHELVES, 'get: "/v1/shelf"'))
def test_rule_17_a_path_is_that_of_the_resource(library_set: bytes) -> None:
    with pytest.raises(SchemaError) as error:
        load(library_set)
    (mistake,) = error.value.mistakes
    assert (mistake.rule, mistake.element) == ("AIP-132", "library.v1.LibraryService.ListShelves")
    assert mistake.problem == f"path '/v1/shelf' {NOT_THE_RESOURCES}"
    assert mistake.remedy == "write /v1/shelves"


@pytest.mark.edits((SHELVES, 'get: "/shelves"'))
def test_rule_17_a_path_begins_with_a_version(mistakes: list[str]) -> None:
    assert mistakes == [f"AIP-132 LibraryService.ListShelves: path '/shelves' {NOT_THE_RESOURCES}"]


@pytest.mark.edits((SHELVES, 'get: "/library/v2beta1/shelves"'))
def test_rule_17_any_version_with_anything_before(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((SHELVES, 'get: "/v1/all/shelves"'))
def test_rule_17_nothing_stands_between_version_and_collection(mistakes: list[str]) -> None:
    assert mistakes == [f"AIP-132 LibraryService.ListShelves: path '/v1/all/shelves' {NOT_THE_RESOURCES}"]


@pytest.mark.edits((GET, '{get: "/v1/{name=shelves/*/books/*}/cover"}'))
def test_rule_17_nothing_follows_a_whole_name(mistakes: list[str]) -> None:
    path = "/v1/{name=shelves/*/books/*}/cover"
    assert mistakes == [f"AIP-131 LibraryService.GetBook: path {path!r} {NOT_THE_RESOURCES}"]


@pytest.mark.edits((CREATE, CREATE.replace("/books", "/volumes")))
def test_rule_17_the_collection_below_a_parent_is_the_resources(mistakes: list[str]) -> None:
    path = "/v1/{parent=shelves/*}/volumes"
    assert mistakes == [f"AIP-133 LibraryService.CreateBook: path {path!r} {NOT_THE_RESOURCES}"]


@pytest.mark.edits((BATCH_CREATE, BATCH_CREATE.replace("/books", "/volumes")))
def test_rule_17_the_collection_of_a_batch_is_the_resources(mistakes: list[str]) -> None:
    path = "/v1/{parent=shelves/*}/volumes:batchCreate"
    assert mistakes == [f"AIP-233 LibraryService.BatchCreateBooks: path {path!r} {NOT_THE_RESOURCES}"]


@pytest.mark.edits((BATCH_CREATE, BATCH_CREATE.replace("{parent=shelves/*}/", "")))
def test_rule_17_a_batch_may_leave_the_parent_to_the_request(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((SHELVES, SHELVES + ' additional_bindings: {get: "/v1/racks"}'))
def test_rule_17_an_additional_binding_is_no_alias(mistakes: list[str]) -> None:
    assert mistakes == [f"AIP-132 LibraryService.ListShelves: path '/v1/racks' {NOT_THE_RESOURCES}"]


@pytest.mark.edits((SHELVES, SHELVES + ' additional_bindings: {get: "/v2/shelves"}'))
def test_rule_17_an_additional_binding_may_be_another_version(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(
    ('plural: "books"', 'pattern: "sites/{site}/books/{book}"\n    plural: "books"'),
    (
        GET,
        '{get: "/v1/{name=shelves/*/books/*}" additional_bindings: {get: "/v1/{name=sites/*/books/*}"}}',
    ),
    (LIST, '{get: "/v1/{parent=sites/*}/books"}'),
)
def test_rule_17_every_pattern_gives_a_path(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((LEND, '{post: "/v1/{volume=shelves/*/books/*}:lend" body: "*"}'))
def test_rule_17_a_path_variable_is_a_field(mistakes: list[str]) -> None:
    problem = "path variable 'volume' is no field of LendBookRequest"
    assert mistakes == [f"AIP-127 LibraryService.LendBook: {problem}"]


@pytest.mark.edits((CREATE, '{post: "/v1/{parent=shelves/*}/books/{book}" body: "book"}'))
def test_rule_17_a_path_variable_is_one_plain_value(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.CreateBook: path variable 'book' is not one plain value" in mistakes


@pytest.mark.edits((LEND, '{post: "/v1/{borrower}/{name=shelves/*/books/*}/{borrower}:lend" body: "*"}'))
def test_rule_17_a_path_variable_stands_once(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-127 LibraryService.LendBook: path variable 'borrower' stands twice"]


@pytest.mark.edits((LEND, '{post: "v1/{name=shelves/*/books/*}:lend" body: "*"}'))
def test_rule_17_a_path_begins_with_a_slash(mistakes: list[str]) -> None:
    path = "v1/{name=shelves/*/books/*}:lend"
    assert mistakes == [f"AIP-127 LibraryService.LendBook: path {path!r} is malformed"]


@pytest.mark.edits(
    (
        LEND,
        LEND.replace(
            '"*"}', '"*" additional_bindings: {post: "/v1/{name=shelves/*/books/*}:give" body: "borrower"}}'
        ),
    )
)
def test_rule_17_all_bindings_have_one_body(mistakes: list[str]) -> None:
    assert "AIP-127 LibraryService.LendBook: its bindings have different bodies" in mistakes


@pytest.mark.edits(
    (
        LEND,
        LEND.replace(
            '"*"}',
            '"*" additional_bindings: {post: "/v1/{name=shelves/*/books/*}:give" body: "*"'
            ' additional_bindings: {post: "/v1/{name=shelves/*/books/*}:hand" body: "*"}}}',
        ),
    )
)
def test_rule_17_additional_bindings_do_not_nest(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-127 LibraryService.LendBook: an additional binding has additional bindings"]


@pytest.mark.edits((":batchGet", ":fetch"))
def test_rule_17_a_batch_says_so_in_its_path(mistakes: list[str]) -> None:
    path = "/v1/{parent=shelves/*}/books:fetch"
    assert mistakes == [f"AIP-231 LibraryService.BatchGetBooks: path {path!r} has the verb 'fetch'"]


@pytest.mark.edits((":print", ":lend"))
def test_two_methods_are_not_called_alike(mistakes: list[str]) -> None:
    problem = "POST /v1/{name=shelves/*/books/*}:lend also calls library.v1.LibraryService.LendBook"
    assert mistakes == [f"AIP-127 LibraryService.PrintBook: {problem}"]
