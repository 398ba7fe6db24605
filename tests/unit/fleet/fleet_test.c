/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fleet/fleet.h"

#define S       NSEC_PER_SEC
#define START   (5000 * S)
#define N_NODES 4
#define X       STR("x:latest")
#define Y       STR("y:latest")

static const char *const names[N_NODES] = {"a", "b", "c", "d"};

/* A node of this name; its port tells its URL. */
static struct fleet_entry entry(const char *name, uint16_t port)
{
    return (struct fleet_entry){
        .name = str_of(name),
        .url = {.scheme = "http", .addr = {.host = "10.0.0.1", .port = port}},
    };
}

/* Four nodes, nothing known of them. */
static int setup(void **state)
{
    static struct fleet f;
    struct fleet_entry entries[N_NODES];

    *state = &f;
    for (uint16_t i = 0; i < N_NODES; i++)
        entries[i] = entry(names[i], i);
    return fleet_init(&f, 1) < 0 ? -1 : fleet_list(&f, entries, N_NODES, START);
}

static int teardown(void **state)
{
    fleet_fini(*state);
    return 0;
}

static uint64_t hash_of(const struct fleet *f, struct str key)
{
    return hash_bytes(f->hash_key, key);
}

static struct fleet_ask ask_for(const struct fleet *f, struct str key)
{
    return (struct fleet_ask){.key = key, .hash = hash_of(f, key)};
}

static void put(const struct fleet *f, struct models *m, struct str key)
{
    assert_int_equal(models_put(m, key, hash_of(f, key)), 0);
}

/* A probe of @index succeeds: it has @key, or nothing when that is empty. */
static enum fleet_news come_up(struct fleet *f, uint16_t index, struct str key, nsec_t now)
{
    struct fleet_report report = {.is_ok = true, .version = "0.11.4"};
    enum fleet_news news;

    if (key.len > 0)
        put(f, &report.models, key);
    news = fleet_apply(f, index, &report, now);
    models_fini(&report.models);
    models_fini(&report.listed);
    models_fini(&report.resident);
    return news;
}

static enum fleet_news go_down(struct fleet *f, uint16_t index, nsec_t now)
{
    struct fleet_report report = {.why = "connection refused"};

    return fleet_apply(f, index, &report, now);
}

static void all_up(struct fleet *f)
{
    for (uint16_t i = 0; i < N_NODES; i++)
        assert_int_equal(come_up(f, i, X, START), FLEET_NODE_UP);
}

static int try_pick(struct fleet *f, const struct fleet_ask *ask, nsec_t now, uint16_t *ret_index)
{
    struct fleet_choice choice;
    int r = fleet_pick(f, ask, 1, now, &choice);

    if (r == 0)
        *ret_index = choice.node;
    return r;
}

static uint16_t pick(struct fleet *f, const struct fleet_ask *ask, nsec_t now)
{
    uint16_t index = FLEET_NO_INDEX;

    assert_int_equal(try_pick(f, ask, now, &index), 0);
    assert_true(index < N_NODES);
    return index;
}

static enum fleet_news leave(struct fleet *f, uint16_t index, enum call_outcome what,
                             nsec_t granted_at, nsec_t now)
{
    const struct fleet_outcome outcome = {
        .what = what, .granted_at = granted_at, .now = now, .why = "because"};

    return fleet_leave(f, &(struct fleet_choice){.node = index, .slot = {.index = SLOTS_NONE}},
                       &outcome);
}

/*
 * @n attempts on @index end in @what, one each second, the first at @from. Return: the news of the
 * last.
 */
static enum fleet_news blame(struct fleet *f, uint16_t index, enum call_outcome what, unsigned n,
                             nsec_t from)
{
    enum fleet_news news = FLEET_NO_NEWS;

    for (unsigned i = 0; i < n; i++) {
        f->nodes[index].in_flight++;
        news = leave(f, index, what, from + i * S, from + i * S);
    }
    return news;
}

static void nobody_is_picked_before_a_probe(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask any = {0};
    uint16_t index;

    assert_int_equal(try_pick(f, &any, START, &index), FLEET_NO_NODE);
}

static void a_model_that_nobody_has_is_told_from_one_that_is_down(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = ask_for(f, X);
    const struct fleet_ask y = ask_for(f, Y);
    uint16_t index;

    (void)come_up(f, 0, X, START);
    assert_int_equal(pick(f, &x, START), 0);
    assert_int_equal(try_pick(f, &y, START, &index), FLEET_NO_MODEL);
    assert_int_equal(go_down(f, 0, START), FLEET_NODE_DOWN);
    assert_int_equal(try_pick(f, &x, START, &index), FLEET_NO_NODE);
}

static void only_a_node_with_the_model_is_picked(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask y = ask_for(f, Y);

    for (uint16_t i = 0; i < N_NODES; i++)
        (void)come_up(f, i, i == 2 ? Y : X, START);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pick(f, &y, START), 2);
}

static void the_least_busy_is_picked(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = ask_for(f, X);

    all_up(f);
    for (uint16_t i = 0; i < N_NODES; i++)
        f->nodes[i].in_flight = i == 3 ? 1 : 2;
    assert_int_equal(pick(f, &x, START), 3);
    assert_int_equal(f->nodes[3].in_flight, 2);
}

static void equals_take_turns(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = ask_for(f, X);
    unsigned n[N_NODES] = {0};

    all_up(f);
    for (int i = 0; i < 40; i++) {
        uint16_t index = pick(f, &x, START);

        n[index]++;
        assert_int_equal(leave(f, index, CALL_OK, START, START), FLEET_NO_NEWS);
    }
    for (int i = 0; i < N_NODES; i++)
        assert_int_equal(n[i], 10);
}

static void a_node_that_was_tried_is_picked_only_when_no_other_is_left(void **state)
{
    struct fleet *f = *state;
    struct fleet_ask x = ask_for(f, X);
    bool was_picked[N_NODES] = {false};

    all_up(f);
    for (int i = 0; i < N_NODES; i++) {
        uint16_t index = pick(f, &x, START);

        assert_false(was_picked[index]);
        was_picked[index] = true;
        x.tried[x.n_tried++] = index;
    }
    (void)pick(f, &x, START);
}

static void an_ejected_node_is_the_last_resort(void **state)
{
    struct fleet *f = *state;
    struct fleet_ask x = ask_for(f, X);

    all_up(f);
    assert_int_equal(blame(f, 1, CALL_RESET, 3, START), FLEET_NODE_EJECTED);
    for (uint16_t i = 0; i < N_NODES; i++) {
        f->nodes[i].in_flight = i == 1 ? 0 : 9;
        if (i != 1)
            x.tried[x.n_tried++] = i;
    }
    assert_int_not_equal(pick(f, &x, START + 2 * S), 1);
    for (uint16_t i = 0; i < N_NODES; i++)
        if (i != 1)
            (void)go_down(f, i, START + 2 * S);
    assert_int_equal(pick(f, &x, START + 2 * S), 1);
}

static void at_most_half_of_the_nodes_that_are_up_are_ejected(void **state)
{
    static const struct {
        uint16_t n_up;
        unsigned n_ejected;
    } rows[] = {{1, 0}, {2, 1}, {3, 1}, {4, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned n = 0;
        void *own = NULL;
        struct fleet *f;

        assert_int_equal(setup(&own), 0);
        f = own;
        for (uint16_t k = 0; k < rows[i].n_up; k++)
            (void)come_up(f, k, X, START);
        for (uint16_t k = 0; k < rows[i].n_up; k++)
            n += blame(f, k, CALL_STATUS_500, 3, START - 2 * S) == FLEET_NODE_EJECTED;
        assert_int_equal(n, rows[i].n_ejected);
        fleet_fini(f);
    }
}

static void only_failures_of_the_node_eject(void **state)
{
    static const enum call_outcome harmless[] = {
        CALL_OK,           CALL_STALE_CONNECTION, CALL_OVERLOAD,
        CALL_CALLER_FAULT, CALL_DEADLINE,         CALL_CANCELLED,
    };
    static const enum call_outcome failures[] = {
        CALL_RESET, CALL_STATUS_500, CALL_STATUS_502_504, CALL_HALF_ANSWER, CALL_BROKEN_ANSWER,
    };
    struct fleet *f = *state;

    all_up(f);
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        assert_int_equal(blame(f, 0, harmless[i], 20, START), FLEET_NO_NEWS);
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        nsec_t from = START + ((nsec_t)i + 1) * 1000 * S;

        assert_int_equal(blame(f, 0, failures[i], 2, from), FLEET_NO_NEWS);
        assert_int_equal(blame(f, 0, failures[i], 1, from + 2 * S), FLEET_NODE_EJECTED);
    }
}

static void connections_cut_by_one_death_count_once(void **state)
{
    struct fleet *f = *state;

    all_up(f);
    f->nodes[0].in_flight = 20;
    for (int i = 0; i < 20; i++)
        assert_int_equal(leave(f, 0, CALL_RESET, START, START + 5 * S), FLEET_NO_NEWS);
    assert_int_equal(f->nodes[0].in_flight, 0);
}

static void one_death_is_charged_once(void **state)
{
    struct fleet *f = *state;
    struct budget b;
    const struct fleet_outcome cut = {
        .what = CALL_RESET, .granted_at = START, .now = START + S, .why = ""};
    const struct fleet_outcome next = {
        .what = CALL_RESET, .granted_at = START + 2 * S, .now = START + 3 * S, .why = ""};
    const struct fleet_outcome bad = {
        .what = CALL_STATUS_500, .granted_at = START, .now = START + S, .why = ""};

    budget_init(&b, 0.0, 4, START);
    for (int i = 0; i < 500; i++)
        assert_true(fleet_charge(f, 0, &cut, &b));
    assert_true(fleet_charge(f, 1, &cut, &b));
    assert_true(fleet_charge(f, 0, &bad, &b));
    assert_true(fleet_charge(f, 0, &next, &b));
    assert_true(fleet_charge(f, 0, &next, &b));
    assert_false(fleet_charge(f, 0, &bad, &b));
}

static void a_death_that_nobody_could_pay_for_is_free_for_nobody(void **state)
{
    struct fleet *f = *state;
    const struct fleet_outcome cut = {
        .what = CALL_RESET, .granted_at = START, .now = START + S, .why = ""};
    struct budget b;

    budget_init(&b, 0.0, 0, START);
    for (int i = 0; i < 5; i++)
        assert_false(fleet_charge(f, 0, &cut, &b));
}

static void a_refused_connection_takes_a_node_down_until_a_probe_succeeds(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = ask_for(f, X);
    uint16_t index;

    (void)come_up(f, 0, X, START);
    put(f, &f->nodes[0].resident, X);
    assert_int_equal(pick(f, &x, START), 0);
    assert_int_equal(pick(f, &x, START), 0);
    assert_int_equal(leave(f, 0, CALL_CONNECT_FAILED, START, START + S), FLEET_NODE_DOWN);
    assert_string_equal(f->nodes[0].why, "because");
    assert_false(models_has(&f->nodes[0].resident, X, x.hash));
    assert_int_equal(leave(f, 0, CALL_CONNECT_FAILED, START, START + S), FLEET_NO_NEWS);
    assert_int_equal(try_pick(f, &x, START + 1000 * S, &index), FLEET_NO_NODE);
    assert_int_equal(come_up(f, 0, X, START + 1000 * S), FLEET_NODE_UP);
    assert_int_equal(pick(f, &x, START + 1000 * S), 0);
}

static void an_old_refusal_does_not_take_down_a_node_that_came_back(void **state)
{
    struct fleet *f = *state;

    (void)come_up(f, 0, X, START);
    (void)go_down(f, 0, START + S);
    (void)come_up(f, 0, X, START + 3 * S);
    f->nodes[0].in_flight = 1;
    assert_int_equal(leave(f, 0, CALL_CONNECT_FAILED, START + 2 * S, START + 4 * S), FLEET_NO_NEWS);
    assert_int_equal(f->nodes[0].state, NODE_UP);
}

static void news_are_told_once(void **state)
{
    struct fleet *f = *state;

    assert_int_equal(come_up(f, 0, X, START), FLEET_NODE_UP);
    assert_int_equal(come_up(f, 0, X, START), FLEET_NO_NEWS);
    assert_int_equal(go_down(f, 0, START), FLEET_NODE_DOWN);
    assert_int_equal(go_down(f, 0, START), FLEET_NO_NEWS);
    assert_int_equal(fleet_n_up(f), 0);
}

static void what_has_answered_stays_loaded_as_long_as_it_is_listed(void **state)
{
    struct fleet *f = *state;
    const uint64_t hash = hash_of(f, X);
    struct fleet_report report = {.is_ok = true};

    (void)come_up(f, 0, X, START);
    fleet_mark_resident(f, 0, X, hash);
    put(f, &report.listed, X);
    (void)fleet_apply(f, 0, &report, START);
    assert_true(models_has(&f->nodes[0].resident, X, hash));
    models_fini(&report.models);
    models_fini(&report.listed);
    models_fini(&report.resident);
    (void)come_up(f, 0, X, START);
    assert_false(models_has(&f->nodes[0].resident, X, hash));
}

static void another_idle_node_is_one_that_could_begin_at_once(void **state)
{
    struct fleet *f = *state;
    struct fleet_ask x = ask_for(f, X);

    (void)come_up(f, 0, X, START);
    assert_int_equal(fleet_look_for_other(f, &x, 0, START), FLEET_ALONE);
    (void)come_up(f, 1, Y, START);
    assert_int_equal(fleet_look_for_other(f, &x, 0, START), FLEET_ALONE); /* has another model */
    (void)come_up(f, 2, X, START);
    assert_int_equal(fleet_look_for_other(f, &x, 0, START), FLEET_OTHER_IDLE);
    f->nodes[2].in_flight = 1;
    assert_int_equal(fleet_look_for_other(f, &x, 0, START), FLEET_OTHER);
    f->nodes[2].in_flight = 0;
    x.tried[x.n_tried++] = 2;
    assert_int_equal(fleet_look_for_other(f, &x, 0, START), FLEET_ALONE);
}

/* Nodes 0 and 1, of which 1 is in @tier; both have two slots for x. */
static struct fleet_ask two_nodes(struct fleet *f, enum balance_strategy strategy, uint32_t tier)
{
    struct fleet_entry entries[] = {entry("a", 0), entry("b", 1)};
    struct fleet_ask x = ask_for(f, X);

    entries[0].slots = 2;
    entries[1].slots = 2;
    entries[1].tier = tier;
    assert_int_equal(fleet_list(f, entries, 2, START), 0);
    (void)come_up(f, 0, X, START);
    (void)come_up(f, 1, X, START);
    f->routing.strategy = strategy;
    x.is_inference = true;
    x.needs_slot = true;
    return x;
}

static void a_higher_tier_is_for_what_the_lower_has_no_slot_for(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_ROUND_ROBIN, 1);
    uint16_t none;

    for (int i = 0; i < 2; i++)
        assert_int_equal(pick(f, &x, START), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pick(f, &x, START), 1);
    assert_int_equal(try_pick(f, &x, START, &none), FLEET_BUSY);
}

static void what_is_being_loaded_is_loaded_once(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_WARM, 0);

    assert_int_equal(pick(f, &x, START), 0);
    assert_int_equal(pick(f, &x, START), 0);
    assert_int_equal(pick(f, &x, START), 1); /* nobody knows how long a slot will take */
}

static void a_long_line_is_worth_a_load_and_a_short_one_is_not(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_WARM, 0);
    const struct slots_told told = {.load_ns = 3 * S};
    struct fleet_outcome ok = {.what = CALL_OK, .granted_at = START, .told = &told};
    struct fleet_choice choice;

    assert_int_equal(fleet_pick(f, &x, 1, START, &choice), 0);
    ok.now = START + 4 * S; /* of it 3 s load: one takes a second */
    (void)fleet_leave(f, &choice, &ok);
    fleet_mark_resident(f, 0, X, x.hash);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pick(f, &x, ok.now), 0);
    assert_int_equal(fleet_pick(f, &x, 5, ok.now, &choice), FLEET_BUSY);
    assert_int_equal(fleet_pick(f, &x, 7, ok.now, &choice), 0);
    assert_int_equal(choice.node, 1);
    assert_string_equal(choice.why, "warm");
}

static void a_model_that_is_loaded_with_other_options_is_not_warm(void **state)
{
    struct fleet *f = *state;
    struct fleet_ask x = two_nodes(f, BALANCE_WARM, 0);
    struct fleet_choice choice;

    for (uint16_t i = 0; i < 2; i++) {
        fleet_mark_resident(f, i, X, x.hash);
        x.options = i;
        assert_int_equal(fleet_pick(f, &x, 1, START + i, &choice), 0);
        assert_int_equal(choice.node, i);
        fleet_give_back(f, &choice);
    }
    for (int i = 0; i < 4; i++) {
        x.options = (uint64_t)i % 2;
        assert_int_equal(fleet_pick(f, &x, 1, START + 2 + i, &choice), 0);
        assert_int_equal(choice.node, i % 2);
        assert_false(choice.is_load);
        fleet_give_back(f, &choice);
    }
}

static void prove(struct fleet *f, uint16_t index, enum fleet_proof proof, nsec_t now)
{
    struct fleet_report report = {.is_ok = true, .version = "0.11.4", .proof = proof};

    put(f, &report.models, X);
    put(f, &report.listed, X);
    put(f, &report.resident, X);
    (void)fleet_apply(f, index, &report, now);
    models_fini(&report.models);
    models_fini(&report.listed);
    models_fini(&report.resident);
}

static void an_ejected_node_generates_a_token_before_it_is_back(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_LEAST_LOADED, 0);
    struct fleet_node *node = &f->nodes[0];

    fleet_mark_resident(f, 0, X, x.hash);
    f->nodes[0].in_flight = 3;
    for (int i = 0; i < 3; i++)
        (void)leave(f, 0, CALL_STATUS_502_504, START, START);
    assert_true(fleet_is_out(node, START));
    assert_false(fleet_wants_proof(f, 0, START));
    assert_true(fleet_is_out(node, START + 2 * S));
    assert_true(fleet_wants_proof(f, 0, START + 2 * S));
    assert_int_equal(pick(f, &x, START + 2 * S), 1);
    prove(f, 0, PROOF_FAILED, START + 2 * S);
    assert_false(fleet_wants_proof(f, 0, START + 2 * S)); /* out for longer */
    assert_true(fleet_is_out(node, START + 10 * S));
    prove(f, 0, PROOF_GIVEN, START + 10 * S);
    assert_false(fleet_is_out(node, START + 10 * S));
    assert_int_equal(pick(f, &x, START + 10 * S), 0);
}

static void a_node_that_is_drained_gets_nothing_new(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_WARM, 0);
    uint16_t none;

    assert_int_equal(pick(f, &x, START), 0);
    assert_true(fleet_drain(f, STR("a"), true));
    assert_int_equal(pick(f, &x, START), 1);
    assert_true(fleet_drain(f, STR("b"), true));
    assert_int_equal(try_pick(f, &x, START, &none), FLEET_NO_NODE);
    assert_int_equal(leave(f, 0, CALL_OK, START, START), FLEET_NO_NEWS);
    assert_true(fleet_drain(f, STR("a"), false));
    assert_int_equal(pick(f, &x, START), 0);
    assert_false(fleet_drain(f, STR("z"), true));
}

static void a_wait_that_lasts_is_predicted_to_last(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_WARM, 0);
    const struct slots_told told = {.load_ns = 3 * S};
    struct fleet_outcome ok = {.what = CALL_OK, .granted_at = START, .told = &told};
    struct fleet_choice choice;

    assert_int_equal(fleet_pick(f, &x, 1, START, &choice), 0);
    ok.now = START + 4 * S;
    (void)fleet_leave(f, &choice, &ok);
    fleet_mark_resident(f, 0, X, x.hash);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pick(f, &x, ok.now), 0);
    assert_int_equal(fleet_pick(f, &x, 1, ok.now + 2 * S, &choice), FLEET_BUSY);
    assert_int_equal(fleet_pick(f, &x, 1, ok.now + 3 * S, &choice), 0);
    assert_int_equal(choice.node, 1);
}

static void after_an_ejection_a_node_gets_its_share_little_by_little(void **state)
{
    struct fleet *f = *state;
    const struct fleet_ask x = two_nodes(f, BALANCE_WEIGHTED, 0);
    unsigned n = 0;

    f->nodes[0].slots_setting = SLOTS_ANY;
    f->nodes[1].slots_setting = SLOTS_ANY;
    f->nodes[1].ejection.until = START;
    for (int i = 0; i < 100; i++)
        n += pick(f, &x, START + S) == 1;
    assert_in_range(n, 5, 12);
    n = 0;
    for (int i = 0; i < 100; i++)
        n += pick(f, &x, START + 60 * S) == 1;
    assert_in_range(n, 45, 55);
}

static void equals_take_turns_also_when_some_lack_the_model(void **state)
{
    struct fleet *f = *state;
    struct fleet_ask x = ask_for(f, X);
    unsigned n[N_NODES] = {0};

    (void)come_up(f, 0, X, START);
    (void)come_up(f, 1, Y, START);
    (void)come_up(f, 2, X, START);
    for (int i = 0; i < 100; i++) {
        uint16_t index = 0;

        assert_int_equal(try_pick(f, &x, START, &index), 0);
        n[index]++;
        f->nodes[index].in_flight--;
    }
    assert_int_equal(n[0], 50);
    assert_int_equal(n[1], 0);
    assert_int_equal(n[2], 50);
}

static void the_lowest_version_that_is_up_is_what_clients_may_count_on(void **state)
{
    struct fleet *f = *state;

    assert_string_equal(fleet_lowest_version(f), "");
    all_up(f);
    (void)snprintf(f->nodes[1].version, sizeof(f->nodes[1].version), "0.9.12");
    (void)snprintf(f->nodes[2].version, sizeof(f->nodes[2].version), "0.9.2");
    assert_string_equal(fleet_lowest_version(f), "0.9.2");
    (void)go_down(f, 2, START);
    assert_string_equal(fleet_lowest_version(f), "0.9.12");
}

/* ---- the list ---- */

static void list(struct fleet *f, const struct fleet_entry *entries, size_t n)
{
    assert_int_equal(fleet_list(f, entries, n, START), 0);
}

static void a_node_off_the_list_is_not_picked_and_those_that_stay_are_as_before(void **state)
{
    struct fleet *f = *state;
    const struct fleet_entry rest[] = {entry("b", 1), entry("d", 3)};
    struct fleet_ask x = ask_for(f, X);

    all_up(f);
    list(f, rest, 2);
    assert_int_equal(fleet_n_up(f), 2);
    assert_int_equal(f->n_nodes, 2);
    for (int i = 0; i < 10; i++) {
        uint16_t index = pick(f, &x, START);

        assert_true(index == 1 || index == 3);
    }
}

static void a_slot_is_free_when_nothing_is_in_flight_and_nobody_refers_to_it(void **state)
{
    struct fleet *f = *state;
    const struct fleet_entry rest[] = {entry("b", 1)};
    struct fleet_ask x = ask_for(f, X);

    (void)come_up(f, 0, X, START);
    assert_int_equal(pick(f, &x, START), 0);
    fleet_ref(f, 0);
    list(f, rest, 1);
    assert_int_equal(f->nodes[0].life, NODE_LEAVING);
    assert_string_equal(f->nodes[0].name_text, "a");
    assert_int_equal(leave(f, 0, CALL_RESET, START, START), FLEET_NO_NEWS);
    assert_int_equal(f->nodes[0].life, NODE_LEAVING);
    fleet_unref(f, 0);
    assert_int_equal(f->nodes[0].life, NODE_FREE);
    assert_int_equal(f->nodes[2].life, NODE_FREE); /* nothing ever kept it */
}

static void a_node_that_comes_back_while_it_leaves_goes_on(void **state)
{
    struct fleet *f = *state;
    const struct fleet_entry one[] = {entry("b", 1)};
    const struct fleet_entry both[] = {entry("b", 1), entry("a", 0)};

    (void)come_up(f, 0, X, START);
    fleet_ref(f, 0);
    list(f, one, 1);
    list(f, both, 2);
    assert_int_equal(f->nodes[0].life, NODE_LISTED);
    assert_int_equal(f->nodes[0].state, NODE_UP);
    fleet_unref(f, 0);
    assert_int_equal(f->nodes[0].life, NODE_LISTED);
}

static void a_new_name_takes_over_what_is_known_of_the_server(void **state)
{
    struct fleet *f = *state;
    const struct fleet_entry renamed[] = {entry("z", 0), entry("b", 1)};
    struct fleet_ask x = ask_for(f, X);
    uint16_t old = 0;
    uint16_t index = old;

    (void)come_up(f, old, X, START);
    fleet_ref(f, old);
    list(f, renamed, 2);
    assert_int_equal(try_pick(f, &x, START, &index), 0);
    assert_int_not_equal(index, old);
    assert_string_equal(f->nodes[index].name_text, "z");
    assert_int_equal(f->nodes[index].state, NODE_UP);
    fleet_unref(f, old);
}

static void a_list_without_room_changes_nothing(void **state)
{
    static struct fleet_entry many[FLEET_MAX_NODES];
    struct fleet *f = *state;
    const struct fleet_entry one[] = {entry("new", 9)};

    /* Two whole generations of nodes that cannot go yet. */
    for (uint16_t round = 0; round < 2; round++) {
        for (uint16_t i = 0; i < FLEET_MAX_NODES; i++)
            many[i] = entry(round == 0 ? "x" : "y", i);
        list(f, many, FLEET_MAX_NODES);
        for (uint16_t i = 0; i < FLEET_MAX_SLOTS; i++)
            if (f->nodes[i].life == NODE_LISTED)
                fleet_ref(f, i);
    }
    assert_int_equal(fleet_list(f, one, 1, START), -ENOBUFS);
    assert_int_equal(f->n_nodes, FLEET_MAX_NODES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_picked_before_a_probe),
        TEST(a_model_that_nobody_has_is_told_from_one_that_is_down),
        TEST(only_a_node_with_the_model_is_picked),
        TEST(the_least_busy_is_picked),
        TEST(equals_take_turns),
        TEST(a_node_that_was_tried_is_picked_only_when_no_other_is_left),
        TEST(an_ejected_node_is_the_last_resort),
        TEST(only_failures_of_the_node_eject),
        TEST(connections_cut_by_one_death_count_once),
        TEST(one_death_is_charged_once),
        TEST(a_death_that_nobody_could_pay_for_is_free_for_nobody),
        TEST(a_refused_connection_takes_a_node_down_until_a_probe_succeeds),
        TEST(an_old_refusal_does_not_take_down_a_node_that_came_back),
        TEST(news_are_told_once),
        TEST(what_has_answered_stays_loaded_as_long_as_it_is_listed),
        TEST(another_idle_node_is_one_that_could_begin_at_once),
        TEST(a_higher_tier_is_for_what_the_lower_has_no_slot_for),
        TEST(what_is_being_loaded_is_loaded_once),
        TEST(a_long_line_is_worth_a_load_and_a_short_one_is_not),
        TEST(a_model_that_is_loaded_with_other_options_is_not_warm),
        TEST(an_ejected_node_generates_a_token_before_it_is_back),
        TEST(a_node_that_is_drained_gets_nothing_new),
        TEST(a_wait_that_lasts_is_predicted_to_last),
        TEST(after_an_ejection_a_node_gets_its_share_little_by_little),
        TEST(equals_take_turns_also_when_some_lack_the_model),
        TEST(the_lowest_version_that_is_up_is_what_clients_may_count_on),
        TEST(a_node_off_the_list_is_not_picked_and_those_that_stay_are_as_before),
        TEST(a_slot_is_free_when_nothing_is_in_flight_and_nobody_refers_to_it),
        TEST(a_node_that_comes_back_while_it_leaves_goes_on),
        TEST(a_new_name_takes_over_what_is_known_of_the_server),
        TEST(a_list_without_room_changes_nothing),
        cmocka_unit_test(at_most_half_of_the_nodes_that_are_up_are_ejected),
    };

    return cmocka_run_group_tests_name("fleet/fleet", tests, NULL, NULL);
}
