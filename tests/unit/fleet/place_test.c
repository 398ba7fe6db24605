/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet/place.h"

#define NOW     (5000 * NSEC_PER_SEC)
#define N_NODES 4
#define X       STR("x:latest")
#define Y       STR("y:latest")

static const struct str names[N_NODES] = {STR_INIT("a"), STR_INIT("b"), STR_INIT("c"),
                                          STR_INIT("mcp")};
static const struct placement room = {.kind = PLACEMENT_ROOM};
static const struct placement all = {.kind = PLACEMENT_ALL};

/* Nodes a, b and c, and another gateway. */
static int setup(void **state)
{
    static struct fleet f;
    struct fleet_entry entries[N_NODES] = {0};

    for (size_t i = 0; i < N_NODES; i++)
        entries[i].name = names[i];
    (void)snprintf(entries[3].url.scheme, sizeof(entries[3].url.scheme), "mcp");
    *state = &f;
    if (fleet_init(&f, 1) < 0)
        return -1;
    return fleet_list(&f, entries, N_NODES, NOW);
}

static int teardown(void **state)
{
    fleet_fini(*state);
    return 0;
}

static void come_up(struct fleet *f, uint16_t index, uint64_t loaded_bytes, struct str key)
{
    struct fleet_report report = {.is_ok = true, .loaded_bytes = loaded_bytes};

    if (key.len > 0)
        assert_int_equal(models_put(&report.models, key, hash_bytes(f->hash_key, key)), 0);
    (void)fleet_apply(f, index, &report, NOW);
    models_fini(&report.models);
    models_fini(&report.resident);
}

static void go_down(struct fleet *f, uint16_t index)
{
    struct fleet_report report = {.why = "gone"};

    (void)fleet_apply(f, index, &report, NOW);
}

static struct place_question ask(const struct fleet *f, struct str key)
{
    return (struct place_question){
        .key = key, .hash = hash_bytes(f->hash_key, key), .is_new_allowed = true};
}

/* @nodes: "abc", or the result's number. */
static void expect(const struct fleet *f, const struct placement *policy,
                   const struct place_question *q, int result, const char *nodes)
{
    uint16_t out[N_NODES];
    char text[N_NODES + 1] = "";
    size_t n;

    assert_int_equal(fleet_place(f, policy, q, out, &n), result);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + out[i]);
    assert_string_equal(text, nodes);
}

static void a_new_model_goes_where_least_is_loaded(void **state)
{
    struct fleet *f = *state;
    struct place_question q = ask(f, Y);

    come_up(f, 0, 500, X);
    come_up(f, 1, 200, X);
    come_up(f, 2, 300, X);
    come_up(f, 3, 0, STR_NULL);
    expect(f, &room, &q, 0, "b");
    go_down(f, 1);
    expect(f, &room, &q, 0, "c");
}

static void among_equals_the_one_with_fewer_models_gets_it(void **state)
{
    struct fleet *f = *state;
    struct place_question q = ask(f, Y);

    come_up(f, 0, 0, X);
    come_up(f, 1, 0, STR_NULL);
    expect(f, &room, &q, 0, "b");
}

static void all_and_named_nodes_that_are_up_get_it(void **state)
{
    char *const named[] = {(char[]){"c"}, (char[]){"a"}, (char[]){"nobody"}};
    const struct placement policy = {PLACEMENT_NAMED, named, 3};
    struct fleet *f = *state;
    struct place_question q = ask(f, Y);

    come_up(f, 0, 0, X);
    come_up(f, 1, 0, X);
    come_up(f, 2, 0, X);
    come_up(f, 3, 0, X);
    expect(f, &all, &q, 0, "abc");
    expect(f, &policy, &q, 0, "ac");
    go_down(f, 0);
    go_down(f, 2);
    expect(f, &policy, &q, PLACE_NO_NODE, "");
}

static void what_is_somewhere_is_changed_there(void **state)
{
    struct fleet *f = *state;
    struct place_question q = ask(f, X);

    come_up(f, 0, 0, STR_NULL);
    come_up(f, 1, 900, X);
    come_up(f, 2, 900, X);
    expect(f, &room, &q, 0, "bc");
    q.is_new_allowed = false;
    expect(f, &all, &q, 0, "bc");
    go_down(f, 1);
    go_down(f, 2);
    expect(f, &all, &q, PLACE_NO_NODE, "");
    q = ask(f, Y);
    q.is_new_allowed = false;
    expect(f, &all, &q, PLACE_NOWHERE, "");
}

static void a_model_made_of_another_goes_where_that_is(void **state)
{
    struct fleet *f = *state;
    struct place_question q = ask(f, Y);

    q.from_key = X;
    q.from_hash = hash_bytes(f->hash_key, X);
    come_up(f, 0, 0, STR_NULL);
    expect(f, &room, &q, PLACE_NOWHERE, "");
    come_up(f, 2, 900, X);
    expect(f, &room, &q, 0, "c");
    expect(f, &all, &q, 0, "c");
}

static void a_model_made_of_files_goes_where_all_of_them_are(void **state)
{
    struct fleet *f = *state;
    struct place_question q = ask(f, Y);
    const uint64_t blobs[] = {1, 2};

    q.blobs = blobs;
    q.n_blobs = 2;
    come_up(f, 0, 0, STR_NULL);
    come_up(f, 1, 900, STR_NULL);
    expect(f, &room, &q, PLACE_NO_BLOB, "");
    fleet_blob_put(f, 1, 0, NOW);
    fleet_blob_put(f, 1, 1, NOW);
    fleet_blob_put(f, 2, 1, NOW);
    expect(f, &room, &q, 0, "b");
}

static void the_oldest_blobs_are_forgotten(void **state)
{
    struct fleet *f = *state;

    for (uint64_t i = 0; i <= FLEET_BLOBS_MAX; i++)
        fleet_blob_put(f, i, 0, NOW);
    assert_false(fleet_blob_is_at(f, 0, 0));
    assert_true(fleet_blob_is_at(f, 1, 0));
    assert_true(fleet_blob_is_at(f, FLEET_BLOBS_MAX, 0));
    assert_false(fleet_blob_is_at(f, 1, 1));
}

static void blobs_that_follow_one_another_go_to_one_node(void **state)
{
    struct fleet *f = *state;
    uint16_t out[N_NODES];
    size_t n;

    come_up(f, 0, 0, STR_NULL);
    come_up(f, 1, 900, STR_NULL);
    assert_int_equal(fleet_place_blob(f, &room, NOW, out, &n), 0);
    assert_int_equal(out[0], 0);
    fleet_blob_put(f, 7, 1, NOW);
    assert_int_equal(fleet_place_blob(f, &room, NOW + NSEC_PER_SEC, out, &n), 0);
    assert_int_equal(out[0], 1);
    assert_int_equal(fleet_place_blob(f, &room, NOW + 601 * NSEC_PER_SEC, out, &n), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(fleet_place_blob(f, &all, NOW, out, &n), 0);
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_model_goes_where_least_is_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(among_equals_the_one_with_fewer_models_gets_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all_and_named_nodes_that_are_up_get_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_somewhere_is_changed_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_model_made_of_another_goes_where_that_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_model_made_of_files_goes_where_all_of_them_are, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_oldest_blobs_are_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(blobs_that_follow_one_another_go_to_one_node, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
