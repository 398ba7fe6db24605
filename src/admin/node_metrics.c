/* SPDX-License-Identifier: MIT */
#include "admin/views.h"

#include <errno.h>

#include "gateway/gateway.h"

/* One node, looked at once for all families. */
struct sample {
    struct desk_node node;
    struct pool_counters pool;
};

struct family {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct sample *s);
};

static uint64_t is_up(const struct sample *s)
{
    return s->node.state == NODE_UP;
}

static uint64_t is_out(const struct sample *s)
{
    return s->node.is_ejected;
}

static uint64_t in_flight(const struct sample *s)
{
    return s->node.in_flight;
}

static uint64_t n_models(const struct sample *s)
{
    return s->node.n_models;
}

static uint64_t n_waiting(const struct sample *s)
{
    return s->pool.n_waiting;
}

static uint64_t n_created(const struct sample *s)
{
    return s->pool.n_created;
}

static uint64_t n_reused(const struct sample *s)
{
    return s->pool.n_reused;
}

static uint64_t n_timeouts(const struct sample *s)
{
    return s->pool.n_timeouts;
}

static const struct family families[] = {
    {"chasqui_node_up", "gauge", "Whether the node answers probes (1) or not (0)", is_up},
    {"chasqui_node_ejected", "gauge", "Whether the node is left alone for a while after failures",
     is_out},
    {"chasqui_node_in_flight", "gauge", "Attempts on the node now", in_flight},
    {"chasqui_node_models", "gauge", "Models the node has", n_models},
    {"chasqui_pool_waiting", "gauge", "Attempts that wait for a connection to the node", n_waiting},
    {"chasqui_pool_created_total", "counter", "Connections opened to the node", n_created},
    {"chasqui_pool_reused_total", "counter", "Attempts that found an idle connection", n_reused},
    {"chasqui_pool_timeouts_total", "counter",
     "Attempts that waited for a connection until acquire_timeout", n_timeouts},
};

static int print_head(const char *name, const char *type, const char *help, struct buf *out)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* @label: further ones, with the comma before them. */
static int print_sample(const char *name, const struct sample *s, const char *label, uint64_t value,
                        struct buf *out)
{
    int r = buf_printf(out, "%s{node=\"", name);

    for (const char *c = s->node.name; *c != '\0' && r == 0; c++) {
        if (*c == '"' || *c == '\\')
            r = buf_put_char(out, '\\');
        if (r == 0)
            r = buf_put_char(out, *c);
    }
    return r < 0 ? r : buf_printf(out, "\"%s} %llu\n", label, (unsigned long long)value);
}

static int print_family(const struct family *f, const struct sample *samples, size_t n,
                        struct buf *out)
{
    int r = print_head(f->name, f->type, f->help, out);

    for (size_t i = 0; i < n && r == 0; i++)
        r = print_sample(f->name, &samples[i], "", f->value(&samples[i]), out);
    return r;
}

static int print_connections(const struct sample *samples, size_t n, struct buf *out)
{
    static const char name[] = "chasqui_pool_connections";
    int r = print_head(name, "gauge", "Connections to the node", out);

    for (size_t i = 0; i < n && r == 0; i++) {
        r = print_sample(name, &samples[i], ",state=\"idle\"", samples[i].pool.n_idle, out);
        if (r == 0)
            r = print_sample(name, &samples[i], ",state=\"busy\"", samples[i].pool.n_busy, out);
    }
    return r;
}

static int print_closed(const struct sample *samples, size_t n, struct buf *out)
{
    static const char name[] = "chasqui_pool_closed_total";
    int r = print_head(name, "counter", "Connections to the node that were closed, by why", out);

    for (size_t i = 0; i < n; i++)
        for (int why = 0; why < N_POOL_CLOSED && r == 0; why++) {
            char label[64];

            (void)snprintf(label, sizeof(label), ",reason=\"%s\"", pool_closed_names[why]);
            r = print_sample(name, &samples[i], label, samples[i].pool.n_closed[why], out);
        }
    return r;
}

static int print_all(const struct sample *samples, size_t n, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++)
        r = print_family(&families[i], samples, n, out);
    if (r == 0)
        r = print_connections(samples, n, out);
    return r == 0 ? print_closed(samples, n, out) : r;
}

int view_node_metrics(struct gateway *g, struct buf *out)
{
    size_t n_slots = desk_n_slots(&g->desk);
    struct sample *samples = calloc(n_slots, sizeof(*samples));
    size_t n = 0;
    int r;

    if (samples == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_slots; i++) {
        struct sample *s = &samples[n];

        if (!desk_look(&g->desk, (uint16_t)i, &s->node) || s->node.is_leaving)
            continue;
        quota_look(&g->quota, (uint16_t)i, &s->pool);
        n++;
    }
    r = print_all(samples, n, out);
    free(samples);
    return r;
}
