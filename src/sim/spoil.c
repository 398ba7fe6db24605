/* SPDX-License-Identifier: MIT */
#include "sim/spoil.h"

#include "sim/conn.h"

#define PAUSE_NS (5 * NSEC_PER_MSEC)

enum manner {
    AT_ONCE, /* and then the connection closes */
    FOR_EVER,
    BYTE_BY_BYTE,
};

static const struct sim_spoiling {
    enum sim_fault_kind kind;
    enum manner manner;
    struct str head;
    struct str rest; /* FOR_EVER: again and again */
} spoilings[] = {
    {SIM_FAULT_GARBAGE, AT_ONCE, STR_INIT("\x16\x03\x01\x02 no HTTP\n\n\r\r\n\r\n"), {0}},
    {SIM_FAULT_LENGTH, AT_ONCE,
     STR_INIT("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
              "Content-Length: 1000\r\n\r\n"),
     STR_INIT("{\"model\":\"sim:latest\",\"response\":\"too short\",\"done\":true}")},
    {SIM_FAULT_ENDLESS, FOR_EVER, STR_INIT("HTTP/1.1 200 OK\r\n"),
     STR_INIT("X-And-So-On: and so on and so on and so on and so on and so on\r\n")},
    {SIM_FAULT_1XX, FOR_EVER, STR_INIT(""), STR_INIT("HTTP/1.1 102 Processing\r\n\r\n")},
    {SIM_FAULT_SLOW,
     BYTE_BY_BYTE,
     STR_INIT("HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
              "Content-Length: 16\r\n\r\n{\"error\":\"slow\"}"),
     {0}},
};

static void put(struct sim_conn *c, struct str bytes)
{
    if (net_stream_write(&c->stream, &bytes, 1) < 0)
        net_stream_close(&c->stream);
}

static void go_on(struct sim_conn *c)
{
    net_timer_arm(&c->sim->loop, &c->spoil.timer, time_now() + PAUSE_NS);
}

static void on_due(struct net_timer *timer)
{
    struct sim_spoil *s = container_of(timer, struct sim_spoil, timer);
    struct sim_conn *c = container_of(s, struct sim_conn, spoil);

    if (s->what->manner == FOR_EVER) {
        for (int i = 0; i < 16; i++)
            put(c, s->what->rest);
        go_on(c);
        return;
    }
    put(c, str_head(str_from(s->what->head, s->at++), 1));
    if (s->at < s->what->head.len)
        go_on(c);
    else
        sim_conn_hang_up(c);
}

static const struct sim_spoiling *find(enum sim_fault_kind kind)
{
    for (size_t i = 0; i < sizeof(spoilings) / sizeof(spoilings[0]); i++)
        if (spoilings[i].kind == kind)
            return &spoilings[i];
    return NULL;
}

bool sim_spoil_begin(struct sim_conn *c, struct sim_fault fault)
{
    const struct sim_spoiling *what = find(fault.kind);

    if (what == NULL)
        return false;
    if (net_timer_init(&c->sim->loop, &c->spoil.timer, on_due) < 0) {
        net_stream_close(&c->stream);
        return true;
    }
    c->spoil.what = what;
    if (what->manner == BYTE_BY_BYTE) {
        go_on(c);
        return true;
    }
    put(c, what->head);
    if (what->manner == FOR_EVER) {
        go_on(c);
    } else {
        put(c, what->rest);
        sim_conn_hang_up(c);
    }
    return true;
}

void sim_spoil_end(struct sim_conn *c)
{
    net_timer_fini(&c->sim->loop, &c->spoil.timer);
}
