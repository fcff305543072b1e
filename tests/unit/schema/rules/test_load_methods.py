"""Rule 18, and 47 to 113 as far as a proto shows them: requests and responses of standard methods."""

from __future__ import annotations

import pytest

from entresol.schema.load import load
from entresol.schema.model import MethodKind

SHELF_TYPE = '(google.api.resource_reference).type = "library.example.com/Shelf"'
GET_SHELF_NAME = f"string name = 1 [(google.api.field_behavior) = REQUIRED, {SHELF_TYPE}];"
BOOK_CHILD = '(google.api.resource_reference).child_type = "library.example.com/Book"'
PARENT = f"  string parent = 1 [(google.api.field_behavior) = REQUIRED, {BOOK_CHILD}];\n"
BORROWER = "string borrower = 2 [(google.api.field_behavior) = REQUIRED];"
ALLOW_MISSING = "bool allow_missing = 3 [(google.api.field_behavior) = OPTIONAL];"
BOOK_ID = "string book_id = 3 [(google.api.field_behavior) = OPTIONAL];"
SOFT_DELETE = "    soft_delete: {}\n"


@pytest.mark.edits(
    ("rpc GetShelf(GetShelfRequest)", "rpc GetShelf(google.protobuf.Empty)"),
)
def test_rule_18_a_request_is_not_borrowed(mistakes: list[str]) -> None:
    assert "AIP-131 LibraryService.GetShelf: takes a google.protobuf.Empty" in mistakes
    assert not [one for one in mistakes if "Empty:" in one]


@pytest.mark.edits(
    (
        'post: "/v1/{name=shelves/*/books/*}:lend" body: "*"};',
        'post: "/v1/{name=shelves/*/books/*}:lend" body: "*"};'
        "option (entresol.options.v1.method) = {consistency: 99};",
    )
)
def test_the_consistency_of_a_method_is_known(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/options LibraryService.LendBook: consistency 99 is unknown"]


@pytest.mark.edits(("GetShelfRequest", "ShelfRequest"))
def test_rule_18_a_request_has_the_name_of_its_method(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-131 LibraryService.GetShelf: takes a library.v1.ShelfRequest"]


@pytest.mark.edits(("LendBookRequest", "Lending"))
def test_rule_18_of_a_custom_method_too(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-136 LibraryService.LendBook: takes a library.v1.Lending"]


@pytest.mark.edits(
    (ALLOW_MISSING, ALLOW_MISSING + "string reason = 4 [(google.api.field_behavior) = REQUIRED];")
)
def test_rule_18_nothing_else_is_required(mistakes: list[str]) -> None:
    problem = "is REQUIRED, and a standard method needs nothing beside"
    assert mistakes == [f"AIP-134 UpdateBookRequest.reason: {problem}"]


@pytest.mark.edits(
    (ALLOW_MISSING, ALLOW_MISSING + "string reason = 4 [(google.api.field_behavior) = OPTIONAL];")
)
def test_rule_18_other_optional_fields_are_allowed(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(
    ("rpc GetShelf(GetShelfRequest) returns (Shelf)", "rpc GetShelf(GetShelfRequest) returns (Book)")
)
def test_rule_47_get_returns_the_resource(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-131 LibraryService.GetShelf: answers with library.v1.Book"]


@pytest.mark.edits(
    ("rpc GetShelf(GetShelfRequest) returns (Shelf)", "rpc GetShelf(GetShelfRequest) returns (stream Shelf)")
)
def test_rule_47_get_does_not_stream(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-131 LibraryService.GetShelf: streams"]


@pytest.mark.edits((GET_SHELF_NAME, GET_SHELF_NAME.replace("REQUIRED", "OPTIONAL")))
def test_rule_47_the_name_is_required(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-131 GetShelfRequest.name: is not REQUIRED"]


@pytest.mark.edits((GET_SHELF_NAME, GET_SHELF_NAME.replace(f", {SHELF_TYPE}", "")))
def test_rule_47_the_name_says_what_it_names(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-131 GetShelfRequest.name: does not say what it names"]


@pytest.mark.edits((f"message GetShelfRequest {{\n  {GET_SHELF_NAME}", "message GetShelfRequest {"))
def test_rule_47_there_is_a_name(mistakes: list[str]) -> None:
    assert "AIP-131 GetShelfRequest: has no field 'name'" in mistakes


@pytest.mark.edits(("repeated string names", "string names"))
def test_rule_52_batch_get_takes_names(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-231 BatchGetBooksRequest.names: is string"]


@pytest.mark.edits(
    (
        "message BatchGetBooksResponse {\n  repeated Book books = 1;",
        "message BatchGetBooksResponse {\n  Book book = 1;",
    )
)
def test_rule_52_batch_get_returns_resources(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-231 BatchGetBooksResponse: has 0 fields of the type repeated library.v1.Book"]


@pytest.mark.edits((f"message ListBooksRequest {{\n{PARENT}", "message ListBooksRequest {\n"))
def test_rule_58_list_takes_the_parent(mistakes: list[str]) -> None:
    assert "AIP-132 ListBooksRequest: has no field 'parent'" in mistakes


@pytest.mark.edits(
    (
        f"message ListBooksRequest {{\n{PARENT}",
        "message ListBooksRequest {\n" + PARENT.replace("REQUIRED", "OPTIONAL"),
    )
)
def test_rule_58_the_parent_is_required(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksRequest.parent: is not REQUIRED"]


@pytest.mark.edits(
    (
        f"message ListBooksRequest {{\n{PARENT}",
        "message ListBooksRequest {\n" + PARENT.replace(BOOK_CHILD, SHELF_TYPE),
    )
)
def test_rule_58_the_parent_may_be_named_by_its_own_type(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(
    ("ListBooksRequest) returns (ListBooksResponse)", "ListBooksRequest) returns (stream ListBooksResponse)")
)
def test_rule_58_list_does_not_stream(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 LibraryService.ListBooks: streams"]


@pytest.mark.edits(("  int32 page_size = 2 [(google.api.field_behavior) = OPTIONAL];\n", ""))
def test_rule_59_list_takes_a_page_size(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksRequest: has no field 'page_size'"]


@pytest.mark.edits(
    (
        "int32 page_size = 2 [(google.api.field_behavior) = OPTIONAL]",
        "int32 page_size = 2 [(google.api.field_behavior) = REQUIRED]",
    )
)
def test_rule_59_the_page_size_is_not_required(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksRequest.page_size: is REQUIRED"]


@pytest.mark.edits(("string page_token = 3", "bytes page_token = 3"))
def test_rule_59_the_page_token_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksRequest.page_token: is bytes"]


@pytest.mark.edits(
    (
        "message ListBooksResponse {\n  repeated Book books = 1;\n  string next_page_token = 2;",
        "message ListBooksResponse {\n  repeated Book books = 1;",
    )
)
def test_rule_59_list_returns_the_next_page_token(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksResponse: has no field 'next_page_token'"]


@pytest.mark.edits(("ListBooksResponse", "BookPage"))
def test_rule_58_the_response_has_the_name_of_the_method(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 LibraryService.ListBooks: answers with library.v1.BookPage"]


@pytest.mark.edits(("string filter = 4", "bytes filter = 4"))
def test_rule_73_the_filter_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksRequest.filter: is bytes"]


@pytest.mark.edits(("bool show_deleted", "string show_deleted"))
def test_rule_69_show_deleted_is_a_bool(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-132 ListBooksRequest.show_deleted: is string"]


@pytest.mark.edits(
    (
        "Book book = 2 [(google.api.field_behavior) = REQUIRED]",
        "Book volume = 2 [(google.api.field_behavior) = REQUIRED]",
    )
)
def test_rule_87_create_takes_the_resource(mistakes: list[str]) -> None:
    assert "AIP-133 CreateBookRequest: has no field 'book'" in mistakes


@pytest.mark.edits(
    (
        "Book book = 2 [(google.api.field_behavior) = REQUIRED]",
        "Book book = 2 [(google.api.field_behavior) = OPTIONAL]",
    )
)
def test_rule_87_the_resource_is_required(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 CreateBookRequest.book: is not REQUIRED"]


@pytest.mark.edits((BOOK_ID, BOOK_ID.replace("string", "int64")))
def test_rule_89_the_id_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 CreateBookRequest.book_id: is int64"]


@pytest.mark.edits((BOOK_ID, ""), (SOFT_DELETE, SOFT_DELETE + "    id_source: ID_SOURCE_CLIENT\n"))
def test_rule_89_ids_of_callers_need_a_field(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 CreateBookRequest: has no field 'book_id'"]


@pytest.mark.edits(
    (BOOK_ID, BOOK_ID.replace("OPTIONAL", "REQUIRED")),
    (SOFT_DELETE, SOFT_DELETE + "    id_source: ID_SOURCE_SERVER\n"),
)
def test_rule_89_ids_of_the_server_are_not_required(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 CreateBookRequest.book_id: is REQUIRED"]


@pytest.mark.edits(("string request_id", "bytes request_id"))
def test_rule_29_the_request_id_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 CreateBookRequest.request_id: is bytes"]


@pytest.mark.edits(("bool validate_only", "string validate_only"))
def test_rule_30_validate_only_is_a_bool(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-133 CreateBookRequest.validate_only: is string"]


@pytest.mark.edits(("repeated CreateBookRequest requests", "repeated Book requests"))
def test_rule_93_batch_create_takes_create_requests(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-233 BatchCreateBooksRequest.requests: is repeated library.v1.Book"]


@pytest.mark.edits(
    ("  google.protobuf.FieldMask update_mask = 2 [(google.api.field_behavior) = OPTIONAL];\n", "")
)
def test_rule_97_update_takes_a_mask(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-134 UpdateBookRequest: has no field 'update_mask'"]


@pytest.mark.edits(
    (
        "update_mask = 2 [(google.api.field_behavior) = OPTIONAL]",
        "update_mask = 2 [(google.api.field_behavior) = REQUIRED]",
    )
)
def test_rule_97_the_mask_is_optional(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-134 UpdateBookRequest.update_mask: is REQUIRED"]


@pytest.mark.edits(
    ("rpc DeleteBook(DeleteBookRequest) returns (Book)", "rpc DeleteBook(DeleteBookRequest) returns (Shelf)")
)
def test_rule_106_delete_returns_nothing_or_what_it_marked(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-135 LibraryService.DeleteBook: answers with library.v1.Shelf"]


@pytest.mark.edits(
    (
        "rpc DeleteBook(DeleteBookRequest) returns (Book)",
        "rpc DeleteBook(DeleteBookRequest) returns (google.protobuf.Empty)",
    )
)
def test_rule_106_a_soft_delete_may_return_nothing(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((SOFT_DELETE, ""))
def test_rule_113_undelete_needs_soft_delete(mistakes: list[str]) -> None:
    assert mistakes == [
        "AIP-135 LibraryService.DeleteBook: answers with library.v1.Book",
        "AIP-164 LibraryService.UndeleteBook: undeletes what Delete removes for good",
    ]


@pytest.mark.edits(("Timestamp delete_time", "Timestamp gone_time"))
def test_rule_111_soft_delete_needs_delete_time(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-164 Book: has soft_delete and no delete_time"]


@pytest.mark.edits(
    (
        '    option (google.longrunning.operation_info) = {response_type: "Book" metadata_type: "LendBookResponse"};\n',
        "",
    )
)
def test_rule_125_a_long_running_method_names_what_it_ends_with(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-151 LibraryService.PrintBook: does not name the types of its operation"]


@pytest.mark.edits(('response_type: "Book"', 'response_type: "Leaflet"'))
def test_rule_125_by_a_message_that_exists(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-151 LibraryService.PrintBook: there is no message 'Leaflet'"]


@pytest.mark.edits(
    (
        "  bool force = 3 [(google.api.field_behavior) = OPTIONAL];\n}\n\nmessage PurgeBooksResponse",
        "}\n\nmessage PurgeBooksResponse",
    )
)
def test_a_purge_says_whether_it_deletes(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-165 PurgeBooksRequest: has no field 'force'"]


@pytest.mark.edits(("  repeated string purge_sample = 2;\n", ""))
def test_what_a_purge_ends_with_has_its_fields(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-165 PurgeBooksResponse: has no field 'purge_sample'"]


@pytest.mark.edits(('response_type: "PurgeBooksResponse"', 'response_type: "Book"'))
def test_what_a_purge_ends_with_is_named_after_it(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-165 LibraryService.PurgeBooks: its operation answers with library.v1.Book"]


@pytest.mark.edits
def test_a_method_is_standard_by_its_name(library_set: bytes) -> None:
    kinds = {path.rpartition("/")[2]: method.kind for path, method in load(library_set).methods.items()}
    assert kinds == {
        "GetShelf": MethodKind.GET,
        "ListShelves": MethodKind.LIST,
        "GetBook": MethodKind.GET,
        "BatchGetBooks": MethodKind.BATCH_GET,
        "ListBooks": MethodKind.LIST,
        "CreateBook": MethodKind.CREATE,
        "BatchCreateBooks": MethodKind.BATCH_CREATE,
        "UpdateBook": MethodKind.UPDATE,
        "DeleteBook": MethodKind.DELETE,
        "UndeleteBook": MethodKind.UNDELETE,
        "PurgeBooks": MethodKind.PURGE,
        "LendBook": MethodKind.CUSTOM,
        "PrintBook": MethodKind.CUSTOM,
        "ListOperations": MethodKind.CUSTOM,
        "GetOperation": MethodKind.CUSTOM,
        "DeleteOperation": MethodKind.CUSTOM,
        "CancelOperation": MethodKind.CUSTOM,
        "WaitOperation": MethodKind.CUSTOM,
    }


@pytest.mark.edits(
    (
        "rpc CreateBook(CreateBookRequest) returns (Book) {",
        "rpc CreateBook(CreateBookRequest) returns (google.longrunning.Operation) {"
        'option (google.longrunning.operation_info) = {response_type: "Book" metadata_type: "Book"};',
    )
)
def test_rule_125_a_create_that_runs_long_is_custom(library_set: bytes) -> None:
    method = load(library_set).methods["/library.v1.LibraryService/CreateBook"]
    assert (method.kind, method.resource) == (MethodKind.CUSTOM, None)


@pytest.mark.edits(
    ("rpc LendBook(LendBookRequest)", "rpc GetLoan(GetLoanRequest)"),
    ("message LendBookRequest", "message GetLoanRequest"),
)
def test_a_get_of_what_is_no_resource_is_custom(library_set: bytes) -> None:
    assert load(library_set).methods["/library.v1.LibraryService/GetLoan"].kind is MethodKind.CUSTOM


DECLARATIVE = ('plural: "books"', 'plural: "books"\n    style: DECLARATIVE_FRIENDLY')


@pytest.mark.edits(DECLARATIVE)
def test_rule_30_a_declarative_resource_can_be_validated_only(mistakes: list[str]) -> None:
    lacking = ("BatchCreateBooksRequest", "UpdateBookRequest", "DeleteBookRequest", "UndeleteBookRequest")
    assert sorted(mistakes) == sorted(f"AIP-128 {name}: has no 'validate_only'" for name in lacking)


@pytest.mark.edits(
    DECLARATIVE,
    ("  string etag = 12;\n", ""),
    ("  string etag = 2 [(google.api.field_behavior) = OPTIONAL];\n", ""),
)
def test_rule_38_a_declarative_resource_has_an_etag(mistakes: list[str]) -> None:
    assert "AIP-128 Book: is declarative and has no etag" in mistakes
    assert "AIP-128 DeleteBookRequest: has no 'etag'" in mistakes


@pytest.mark.edits(DECLARATIVE, ("LendBook", "AddLabels"))
def test_rule_13_a_declarative_resource_is_changed_by_update_alone(mistakes: list[str]) -> None:
    assert "AIP-144 LibraryService.AddLabels: edits a declarative resource" in mistakes
