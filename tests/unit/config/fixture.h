/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A little gateway's settings: two rooms that share a section, a list of objects, a mapping of
 * names.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "config/settings.h"

struct door {
    struct strings listen_http;
    char *admin;
    char *token;
    bool allow_anonymous;
    nsec_t queue;
    bool is_check;
};

struct node {
    char *name;
    char *url;
    uint64_t slots;
    double weight;
    struct strings models;
};

struct class
{
    char *name;
    nsec_t timeout;
};

struct up {
    struct setting_objects nodes;
    struct setting_objects classes;
    uint64_t max_retries;
    double jitter;
    double budget;
    nsec_t connect;
    nsec_t total;
    uint64_t bodies;
    int level;
    struct strings affinity;
};

static const char *check_url(struct str value)
{
    return str_starts(value, STR("http://")) ? NULL : "is not a URL";
}

static const struct setting_choice fixture_levels[] = {
    {"debug", 10}, {"info", 11}, {"warn", 12}, {NULL, 0}};
static const struct setting_choice fixture_auto[] = {{"auto", 0}, {NULL, 0}};
static const struct setting_choice fixture_affinity[] = {{"header", 0}, {"cookie", 0}, {NULL, 0}};

#define FIELD(type_, member) .offset = offsetof(type_, member)

static const struct setting node_rows[] = {
    {.key = "name", .type = SETTING_STRING, FIELD(struct node, name), .max = 8, .text = "Name"},
    {.key = "url",
     .type = SETTING_STRING,
     FIELD(struct node, url),
     .check = check_url,
     .is_required = true,
     .text = "Where"},
    {.key = "slots",
     .type = SETTING_U64,
     FIELD(struct node, slots),
     .def = "auto",
     .min = 1,
     .max = 64,
     .choices = fixture_auto,
     .text = "Requests at once"},
    {.key = "weight",
     .type = SETTING_RATIO,
     FIELD(struct node, weight),
     .def = "1",
     .text = "Share"},
    {.key = "models",
     .type = SETTING_STRINGS,
     FIELD(struct node, models),
     .max = 2,
     .text = "Only these"},
};

static const struct setting_shape node_shape = {node_rows, ARRAY_LEN(node_rows),
                                                sizeof(struct node), "url", NULL};

static const struct setting class_rows[] = {
    {.key = "name", .type = SETTING_STRING, FIELD(struct class, name), .text = "Name"},
    {.key = "timeout",
     .type = SETTING_DURATION,
     FIELD(struct class, timeout),
     .def = "1s",
     .text = "Time"},
};

static const struct setting_shape class_shape = {class_rows, ARRAY_LEN(class_rows),
                                                 sizeof(struct class), "timeout", "name"};

static const struct setting door_rows[] = {
    {.key = "listen.http",
     .type = SETTING_STRINGS,
     FIELD(struct door, listen_http),
     .def = "127.0.0.1:11435",
     .min = 1,
     .max = 3,
     .flag = "--listen",
     .arg = "ADDR",
     .env = "FIXTURE_LISTEN",
     .text = "HTTP listeners",
     .needs_restart = true},
    {.key = "listen.admin",
     .type = SETTING_STRING,
     FIELD(struct door, admin),
     .def = "127.0.0.1:11437",
     .text = "Admin listener"},
    {.key = "token",
     .type = SETTING_STRING,
     FIELD(struct door, token),
     .max = 10,
     .is_secret = true,
     .text = "Secret"},
    {.key = "allow_anonymous",
     .type = SETTING_BOOL,
     FIELD(struct door, allow_anonymous),
     .flag = "--allow-anonymous",
     .text = "No keys | none at all"},
    {.key = "timeouts.queue",
     .type = SETTING_DURATION,
     FIELD(struct door, queue),
     .def = "60s",
     .text = "In the queue"},
    {.type = SETTING_BOOL, FIELD(struct door, is_check), .flag = "--check", .text = "Check only"},
};

static const struct setting up_rows[] = {
    {.key = "nodes",
     .type = SETTING_OBJECTS,
     FIELD(struct up, nodes),
     .max = 3,
     .flag = "--node",
     .arg = "URL",
     .shape = &node_shape,
     .text = "Nodes"},
    {.key = "classes",
     .type = SETTING_OBJECTS,
     FIELD(struct up, classes),
     .shape = &class_shape,
     .text = "Classes"},
    {.key = "retry.max_retries",
     .type = SETTING_U64,
     FIELD(struct up, max_retries),
     .def = "5",
     .max = 100,
     .flag = "--retries",
     .arg = "N",
     .env = "FIXTURE_RETRIES",
     .text = "Retries"},
    {.key = "retry.jitter",
     .type = SETTING_RATIO,
     FIELD(struct up, jitter),
     .def = "0.5",
     .max = 1,
     .text = "Jitter"},
    {.key = "retry.budget",
     .type = SETTING_PERCENT,
     FIELD(struct up, budget),
     .def = "10%",
     .max = 1,
     .text = "Budget"},
    {.key = "timeouts.connect",
     .type = SETTING_DURATION,
     FIELD(struct up, connect),
     .def = "3s",
     .min = 1e6,
     .max = 60e9,
     .text = "To connect"},
    {.key = "timeouts.total",
     .type = SETTING_DURATION,
     FIELD(struct up, total),
     .def = "none",
     .choices = setting_none,
     .text = "All in all"},
    {.key = "memory.bodies",
     .type = SETTING_SIZE,
     FIELD(struct up, bodies),
     .def = "1GiB",
     .min = 1024,
     .text = "Bodies"},
    {.key = "log.level",
     .type = SETTING_ENUM,
     FIELD(struct up, level),
     .def = "info",
     .choices = fixture_levels,
     .text = "Level"},
    {.key = "routing.affinity",
     .type = SETTING_STRINGS,
     FIELD(struct up, affinity),
     .choices = fixture_affinity,
     .text = "Affinity"},
};

struct fixture {
    struct door door;
    struct up up;
    struct settings_room rooms[2];
    struct settings s;
    struct buf errors;
    struct buf out;
};

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->rooms[0] = (struct settings_room){"Door", door_rows, ARRAY_LEN(door_rows), &f->door};
    f->rooms[1] = (struct settings_room){"Upstream", up_rows, ARRAY_LEN(up_rows), &f->up};
    f->errors = BUF_INIT(65536);
    f->out = BUF_INIT(65536);
    assert_int_equal(settings_init(&f->s, f->rooms, 2), 0);
}

static inline void fixture_fini(struct fixture *f)
{
    settings_fini(&f->s);
    buf_fini(&f->errors);
    buf_fini(&f->out);
}

static inline const char *text_of(struct buf *b)
{
    assert_int_equal(buf_reserve(b, 1), 0);
    b->data[b->len] = '\0';
    return b->data;
}

static inline struct node *node_at(struct fixture *f, size_t i)
{
    assert_true(i < f->up.nodes.n);
    return (struct node *)f->up.nodes.items + i;
}

static inline int fixture_load(struct fixture *f, const char *text)
{
    return settings_load_text(&f->s, "f.yaml", str_of(text), &f->errors);
}
