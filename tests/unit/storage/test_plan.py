"""What a plan writes for a database, and what it refuses to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.storage.shop import shop

from entresol.codegen.protos import compile_protos
from entresol.errors import ConfigurationError
from entresol.schema.load import load
from entresol.schema.model import Model, Resource
from entresol.storage.catalog import Catalog
from entresol.storage.plan import NO_TRANSACTION, Plan, next_file, plan, write_files
from entresol.storage.tables import Table, TableColumn, TableIndex, canonical_type
from entresol.storage.wanted import table_of

ROOT = Path(__file__).resolve().parents[3]


def live(model: Model) -> Catalog:
    """Return the catalog of a database that has all tables of `model`, as reading it would."""
    tables = (table_of(resource, model) for resource in model.resources.values())
    return Catalog({table.name: replace(table, columns=commented(table)) for table in tables})


def commented(table: Table) -> tuple[TableColumn, ...]:
    return tuple(
        replace(
            column, comment=f"field {column.field}" if column.field else None, default=column.default or "''"
        )
        for column in table.columns
    )


def changed(catalog: Catalog, table: Table) -> Catalog:
    return Catalog({**catalog.tables, table.name: table})


def without(table: Table, column: str) -> Table:
    return replace(table, columns=tuple(c for c in table.columns if c.name != column))


def sql(planned: Plan) -> list[str]:
    assert planned.refused == ()
    return [statement.sql for statement in planned.statements]


def refused(planned: Plan) -> str:
    (refusal,) = planned.refused
    return str(refusal)


@pytest.fixture(scope="module")
def model() -> Model:
    return shop()


@pytest.fixture
def products(model: Model) -> Table:
    return live(model).tables["shop.products"]


def unlisted(resource: Resource) -> Resource:
    """Return the resource as it was before it had list scopes, for which references became NOT NULL."""
    fields = (
        replace(field, column=replace(field.column, nullable=True))
        if field.column and field.reference and not field.repeated
        else field
        for field in resource.fields
    )
    return replace(resource, list_scopes=(), fields=tuple(fields))


def test_the_committed_migrations_of_the_stories_are_what_the_plan_wrote() -> None:
    migrations = ROOT / "migrations" / "stories"
    stories = load(compile_protos(ROOT / "protos"))
    added = {"Referrer": "0005_referrers.sql", "Suggestion": "0006_suggestions.sql"}
    for message, file in added.items():
        table = stories.by_message[f"stories.v1.{message}"].table
        tables = {name: found for name, found in live(stories).tables.items() if name != f"public.{table}"}
        (text,) = plan(stories, Catalog(tables), only="stories.v1").texts()
        assert text == (migrations / file).read_text()
    later = (migrations / "0007_clicks_by_visitor.sql").read_text()
    scoped = replace(
        stories,
        resources={
            key: replace(
                resource,
                indexes=tuple(index for index in resource.indexes if f" {index.name} " not in later),
            )
            for key, resource in stories.resources.items()
            if key.rpartition("/")[2] not in added
        },
    )
    first = replace(
        scoped,
        resources={
            key: replace(unlisted(resource), events=None) for key, resource in scoped.resources.items()
        },
    )
    (text,) = plan(first, Catalog(), only="stories.v1").texts()
    assert text == (migrations / "0001_stories.sql").read_text()
    planned = plan(scoped, live(first), only="stories.v1")
    assert [refusal.element for refusal in planned.refused] == ["public.clicks", "public.stories.author"]
    steps = [line.strip() for line in str(planned.refused[0]).splitlines()]
    days = (migrations / "0004_click_days.sql").read_text()
    statements = days.partition("SET LOCAL statement_timeout = 0;")[2].strip().splitlines()
    assert "\n".join(line.strip() for line in statements) in "\n".join(steps)
    (text,) = planned.texts()
    assert text == (migrations / "0003_list_scopes_concurrently.sql").read_text()


def test_a_release_from_before_the_list_scopes_starts_on_the_new_schema() -> None:
    stories = load(compile_protos(ROOT / "protos"))
    first = replace(
        stories, resources={key: unlisted(resource) for key, resource in stories.resources.items()}
    )
    before = live(first).tables
    both = {
        name: replace(table, indexes=(*before[name].indexes, *table.indexes))
        for name, table in live(stories).tables.items()
    }
    assert sql(plan(first, Catalog(both))) == []


@pytest.fixture
def stories() -> Model:
    return load(compile_protos(ROOT / "protos"))


def test_events_are_a_table_of_days_of_which_no_relay_is_told(stories: Model) -> None:
    tables = {name: table for name, table in live(stories).tables.items() if name != "public.clicks"}
    created = "\n".join(sql(plan(stories, Catalog(tables))))
    assert "PRIMARY KEY (name, create_time)" in created
    assert "PARTITION BY RANGE (create_time);" in created
    assert created.endswith("SELECT entresol.make_days('public.clicks');")
    assert not any(word in created for word in ("publish", "REPLICA IDENTITY", "TRIGGER"))
    assert sql(plan(stories, live(stories))) == []


def test_what_cannot_be_added_to_days_beside_writers_is_refused(stories: Model) -> None:
    clicks = live(stories).tables["public.clicks"]
    without_index = replace(clicks, indexes=clicks.indexes[1:])
    text = refused(plan(stories, changed(live(stories), without_index)))
    assert "CREATE INDEX clicks_parent_name_idx ON ONLY public.clicks (parent, name)" in text
    text = refused(plan(stories, changed(live(stories), replace(clicks, foreign_keys=()))))
    assert "ALTER TABLE public.clicks ADD CONSTRAINT clicks_parent_fkey" in text
    added = sql(plan(stories, changed(live(stories), without(clicks, "visitor"))))
    assert added[0] == 'ALTER TABLE public.clicks ADD COLUMN IF NOT EXISTS visitor text COLLATE "C";'


def test_a_table_of_days_becomes_an_ordinary_one_only_by_moving_its_rows(stories: Model) -> None:
    type_ = "stories.entresol.dev/Click"
    usual = replace(stories.resources[type_], events=None)
    text = refused(plan(replace(stories, resources={**stories.resources, type_: usual}), live(stories)))
    assert "the model wants no `events`" in text
    assert 'name        text COLLATE "C" PRIMARY KEY' in text
    assert "SELECT name, parent, visitor, referrer, create_time" in text
    assert "make_days" not in text


SCOPED = ('table: "shop.products"', 'table: "shop.products" list_scopes: [{fields: ["sku", "order"]}]')


def test_columns_of_a_list_scope_are_in_the_replica_identity(model: Model) -> None:
    index = "products_row_version_sku_order_key"
    created = sql(plan(shop(SCOPED), Catalog()))
    assert f'CREATE UNIQUE INDEX {index} ON shop.products (name, row_version, sku, "order");' in created
    assert f"ALTER TABLE shop.products REPLICA IDENTITY USING INDEX {index};" in created
    made, switched = sql(plan(shop(SCOPED), live(model)))
    assert made.startswith(f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {index} ")
    assert switched == (
        "SET lock_timeout = '2s';\nDO $$ BEGIN\n"
        f"    ALTER TABLE shop.products REPLICA IDENTITY USING INDEX {index};\n"
        "    PERFORM entresol.publish('shop.products');\nEND $$;\nSET lock_timeout = '60s';"
    )


def test_a_replica_identity_that_tells_more_is_left_as_it_is(model: Model, products: Table) -> None:
    wider = live(shop(SCOPED)).tables["shop.products"]
    both = replace(wider, indexes=(*wider.indexes, *products.indexes))
    assert sql(plan(model, changed(live(model), both))) == []


def test_a_database_that_has_everything_needs_nothing(model: Model) -> None:
    assert plan(model, live(model)) == Plan()


def test_a_table_stands_behind_those_it_refers_to_and_a_cycle_is_closed_at_the_end(model: Model) -> None:
    (text,) = plan(model, Catalog(), only=["shop.example.com/Product", "shop.example.com/Maker"]).texts()
    assert text.index("CREATE TABLE shop.makers") < text.index("CREATE TABLE shop.products")
    assert "FOREIGN KEY (maker) REFERENCES shop.makers (name) ON DELETE RESTRICT" in text
    assert text.rstrip().endswith(
        "FOREIGN KEY (flagship) REFERENCES shop.products (name) ON DELETE SET NULL;"
    )
    assert text.index("CREATE SCHEMA IF NOT EXISTS shop;") < text.index("CREATE TABLE")


def test_two_possible_parents_give_no_foreign_key(model: Model) -> None:
    reviews = table_of(model.resources["shop.example.com/Review"], model)
    assert reviews.foreign_keys == ()
    assert reviews.column("parent") == TableColumn("parent", 'text COLLATE "C"', nullable=False)


def test_unique_among_live_records_is_a_partial_index_where_delete_only_marks(products: Table) -> None:
    (unique,) = (index for index in products.indexes if index.name == "products_sku_key")
    assert unique == TableIndex("products_sku_key", ("sku",), unique=True, predicate="delete_time IS NULL")


def test_every_foreign_key_has_an_index_that_begins_with_it(products: Table) -> None:
    assert TableIndex("products_maker_idx", ("maker",)) in products.indexes


def test_a_new_field_is_a_new_column_and_its_number_is_kept(model: Model, products: Table) -> None:
    planned = plan(model, changed(live(model), without(products, "order")))
    assert sql(planned) == [
        'ALTER TABLE shop.products ADD COLUMN IF NOT EXISTS "order" integer NOT NULL DEFAULT 0;',
        "COMMENT ON COLUMN shop.products.\"order\" IS 'field 6';",
    ]
    assert planned.statements[0].lacks == "column shop.products.order is missing"


def test_a_removed_field_leaves_its_column() -> None:
    smaller = shop(("  int32 order = 6 [(google.api.field_behavior) = OPTIONAL];", ""))
    assert plan(smaller, live(shop())) == Plan()


def test_a_new_index_of_a_table_in_use_is_built_beside_its_users_in_a_file_of_its_own(
    model: Model, products: Table
) -> None:
    found = replace(products, indexes=products.indexes[:1])
    planned = plan(model, changed(live(model), found))
    (text,) = planned.texts()
    assert text.startswith(f"{NO_TRANSACTION}\n")
    assert (
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS products_sku_key "
        "ON shop.products (sku) WHERE delete_time IS NULL;"
    ) in text


def test_an_index_left_invalid_is_built_again(model: Model, products: Table) -> None:
    broken = tuple(replace(index, valid=index.name != "products_maker_idx") for index in products.indexes)
    planned = plan(model, changed(live(model), replace(products, indexes=broken)))
    assert sql(planned) == [
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS products_maker_idx ON shop.products (maker);"
    ]


def test_an_index_of_the_same_definition_may_have_any_name(model: Model, products: Table) -> None:
    renamed = tuple(replace(index, name=f"{index.name}_by_hand") for index in products.indexes[1:])
    found = replace(products, indexes=products.indexes[:1] + renamed)
    assert plan(model, changed(live(model), found)) == Plan()


def test_a_new_foreign_key_is_validated_in_another_transaction_than_it_is_added(
    model: Model, products: Table
) -> None:
    planned = plan(model, changed(live(model), replace(products, foreign_keys=())))
    added, checked = planned.texts()
    assert "REFERENCES shop.makers (name) ON DELETE RESTRICT NOT VALID;" in added
    assert "VALIDATE CONSTRAINT products_maker_fkey;" in checked
    assert not any(statement.lacks for statement in planned.statements)


def test_a_constraint_left_unvalidated_is_validated(model: Model, products: Table) -> None:
    (key,) = products.foreign_keys
    found = replace(products, foreign_keys=(replace(key, validated=False),))
    assert sql(plan(model, changed(live(model), found))) == [
        "ALTER TABLE shop.products VALIDATE CONSTRAINT products_maker_fkey;"
    ]


def test_a_wider_oneof_gets_a_second_check_and_keeps_the_first() -> None:
    wider = shop(("string formula = 5", "bool free = 8;\n    // As a formula.\n    string formula = 5"))
    assert sql(plan(wider, live(shop())))[2:] == [
        "ALTER TABLE shop.products ADD CONSTRAINT products_price_free_check\n"
        "    CHECK (num_nonnulls(cents, free, formula) <= 1) NOT VALID;",
        "ALTER TABLE shop.products VALIDATE CONSTRAINT products_price_free_check;",
    ]


def test_the_check_of_a_oneof_that_lost_a_member_is_in_the_way_and_said_so() -> None:
    split = shop(
        ("    // As a formula.\n    string formula = 5 [(google.api.field_behavior) = OPTIONAL];\n", "")
    )
    assert "DROP CONSTRAINT products_price_check;" in refused(plan(split, live(shop())))


def test_a_table_without_trigger_or_replica_identity_gets_them(model: Model, products: Table) -> None:
    found = replace(products, stamped=False, identity=None)
    trigger, identity = sql(plan(model, changed(live(model), found)))
    assert trigger.startswith(
        "CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON shop.products"
    )
    assert "ALTER TABLE shop.products REPLICA IDENTITY USING INDEX products_row_version_key;" in identity


def test_a_table_that_the_relay_does_not_hear_of_is_published(model: Model, products: Table) -> None:
    planned = plan(model, changed(live(model), replace(products, published=False)))
    assert sql(planned) == ["SELECT entresol.publish('shop.products');"]


def test_a_renamed_field_is_recognised_by_its_number_and_keeps_its_column() -> None:
    text = refused(plan(shop(("int32 order = 6", "int32 rank = 6")), live(shop())))
    assert text.startswith("shop.products.rank: field 6 is kept in column order")
    assert '[(entresol.options.v1.field).column = "order"]' in text


def test_another_field_does_not_take_over_the_values_of_a_column() -> None:
    text = refused(plan(shop(("int32 order = 6", "int32 order = 9")), live(shop())))
    assert "the column holds the values of field 6, the model gives it to field 9" in text


def test_another_type_is_refused_with_its_steps() -> None:
    text = refused(plan(shop(("int32 order = 6", "int64 order = 6")), live(shop())))
    assert text.splitlines()[0] == (
        "shop.products.order: the column is integer, the model wants bigint; changing a type rewrites the table"
    )
    assert 'ALTER COLUMN "order" TYPE bigint USING "order"::bigint' in text
    assert "ADD COLUMN IF NOT EXISTS order_new bigint NOT NULL DEFAULT 0;" in text
    assert 'NEW."order" := NEW.order_new::integer;' in text
    assert 'ALTER TABLE shop.products DROP COLUMN "order";' in text


def test_not_null_is_refused_both_ways() -> None:
    plain, optional = shop(), shop(("int32 order = 6", "optional int32 order = 6"))
    assert "NOT VALID" in refused(plan(plain, live(optional)))
    assert "DROP NOT NULL" in refused(plan(optional, live(plain)))


def test_a_column_that_nobody_fills_is_refused(model: Model, products: Table) -> None:
    strange = TableColumn("strange", "text", nullable=False)
    found = replace(products, columns=(*products.columns, strange))
    assert "so every insert fails" in refused(plan(model, changed(live(model), found)))


def test_another_action_on_delete_is_refused() -> None:
    cascade = shop(
        (
            '(google.api.resource_reference).type = "shop.example.com/Maker"',
            '(google.api.resource_reference).type = "shop.example.com/Maker",\n'
            "    (entresol.options.v1.field).on_delete = ON_DELETE_CASCADE",
        )
    )
    assert "says ON DELETE RESTRICT, the model wants CASCADE" in refused(plan(cascade, live(shop())))


def test_an_index_name_that_is_taken_is_refused(model: Model, products: Table) -> None:
    other = TableIndex("products_maker_idx", ("sku",))
    kept = tuple(index for index in products.indexes if index.name != other.name)
    found = replace(products, indexes=(*kept, other))
    assert "an index named products_maker_idx exists" in refused(plan(model, changed(live(model), found)))


def test_a_reference_to_a_table_that_is_nowhere_is_refused(model: Model) -> None:
    assert "which does not exist and is not part of this plan" in refused(
        plan(model, Catalog(), only=["shop.example.com/Product"])
    )


def test_a_table_of_somebody_else_is_refused(model: Model, products: Table) -> None:
    found = replace(products, primary_key=("id",))
    assert "the primary key is not (name)" in refused(plan(model, changed(live(model), found)))


def test_only_what_does_not_exist_is_an_error_that_names_what_does(model: Model) -> None:
    with pytest.raises(
        ConfigurationError, match=r"shop\.v2 is no package or resource type; .*shop\.example\.com/Maker"
    ):
        plan(model, Catalog(), only="shop.v2")


def test_files_are_numbered_on(tmp_path: Path, model: Model, products: Table) -> None:
    assert next_file(tmp_path, "Add the order!").name == "0001_add_the_order.sql"
    (tmp_path / "0041_before.sql").touch()
    found = replace(without(products, "order"), indexes=products.indexes[:1])
    written = write_files(plan(model, changed(live(model), found)), tmp_path, "order")
    assert [path.name for path in written] == ["0042_order.sql", "0043_order_concurrently.sql"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("timestamptz(3)", "timestamp(3) with time zone"),
        ("timestamptz[]", "timestamp with time zone[]"),
        ("int8", "bigint"),
        ("varchar(20)", "character varying(20)"),
        ("numeric(20, 0)", "numeric(20,0)"),
        ("float8", "double precision"),
        ('text COLLATE "C"', 'TEXT  COLLATE "C"'),
    ],
)
def test_spellings_of_a_type_are_one_type(one: str, other: str) -> None:
    assert canonical_type(one) == canonical_type(other)


def test_types_that_differ_do_not_compare_equal() -> None:
    names = [
        "text",
        'text COLLATE "C"',
        "text[]",
        "varchar(20)",
        "varchar(21)",
        "timestamp",
        "timestamptz",
        "bit(3)",
    ]
    assert len({canonical_type(name) for name in names}) == len(names)
