/* SPDX-License-Identifier: MIT */
#include "gateway/control.h"

#include <errno.h>
#include <signal.h>

#include "gateway/flight.h"
#include "gateway/gateway.h"

#define LOOK_PAUSE_NS (NSEC_PER_SEC / 2)

/*
 * Probes
 */

static struct control *control_of(struct prober *p)
{
    return container_of(p, struct control, prober);
}

static void on_report(struct prober *p, uint16_t index, struct fleet_report *report)
{
    struct gateway *g = control_of(p)->gateway;
    struct desk_news news;

    desk_report(&g->desk, index, report, &news);
    gateway_log_news(g, &news);
}

static void answer_lookers(struct control *c)
{
    for (struct list *it = list_first(&c->lookers); it != NULL; it = list_first(&c->lookers)) {
        struct look_again *look = container_of(it, struct look_again, link);

        list_remove(it);
        net_mail_post(look->from, &look->mail);
    }
}

static void on_round(struct prober *p)
{
    struct control *c = control_of(p);

    c->round_ended = time_now();
    answer_lookers(c);
    if (!c->is_ready) {
        c->is_ready = true;
        gateway_on_ready(c->gateway);
    }
}

static void on_gone(struct prober *p, uint16_t index)
{
    desk_node_unref(&control_of(p)->gateway->desk, index);
}

static bool wants_proof(struct prober *p, uint16_t index)
{
    return desk_wants_proof(&control_of(p)->gateway->desk, index);
}

static const struct prober_ops prober_ops = {
    .name = "control",
    .wants_proof = wants_proof,
    .on_report = on_report,
    .on_round = on_round,
    .on_gone = on_gone,
};

static void on_looked(struct net_mail *mail)
{
    struct look_again *look = container_of(mail, struct look_again, mail);

    look->on_looked(look);
}

static void on_look_again(struct net_mail *mail)
{
    struct look_again *look = container_of(mail, struct look_again, mail);
    struct control *c = look->control;

    look->mail.deliver = on_looked;
    if (c->is_stopping || (!c->prober.is_round && time_now() - c->round_ended < LOOK_PAUSE_NS)) {
        net_mail_post(look->from, &look->mail);
        return;
    }
    list_put_back(&c->lookers, &look->link);
    prober_look_again(&c->prober);
}

void control_look_again(struct control *c, struct look_again *look)
{
    look->control = c;
    look->mail.deliver = on_look_again;
    list_init(&look->link);
    net_mail_post(&c->loop, &look->mail);
}

/*
 * Signals and the end
 */

static void on_signal(struct net_signal *signal, int number)
{
    struct control *c = number == SIGTERM ? container_of(signal, struct control, signals[0])
                                          : container_of(signal, struct control, signals[1]);

    if (++c->n_signals == 1) {
        gateway_drain(c->gateway);
        return;
    }
    if (c->is_stopping)
        return;
    c->is_stopping = true;
    answer_lookers(c);
    gateway_stop(c->gateway);
}

static void on_hangup(struct net_signal *signal, int number)
{
    struct control *c = container_of(signal, struct control, hangup);
    struct buf changes = BUF_INIT(RELOAD_TEXT_MAX);
    struct buf errors = BUF_INIT(RELOAD_TEXT_MAX);

    (void)number;
    (void)!gateway_reload(c->gateway, STR_NULL, &changes, &errors); /* told in the log */
    buf_fini(&changes);
    buf_fini(&errors);
}

void control_take_view(struct control *c, const struct view *view)
{
    c->probe_settings = (struct probe_settings){
        .interval_ns = view->fleet->probe_interval_ns,
        .timeout_ns = view->settings->metadata_timeout_ns,
        .via = str_of(c->gateway->via),
    };
    c->admin.settings = &view->settings->http;
    prober_configure(&c->prober, &c->probe_settings, view->upstream);
}

int control_init(struct control *c, struct gateway *g, const struct control_ops *ops, int admin_fd)
{
    int r;

    c->gateway = g;
    c->ops = ops;
    c->round_ended = -LOOK_PAUSE_NS;
    list_init(&c->lookers);
    list_init(&c->flights);
    c->metrics = metrics_new();
    if (c->metrics == NULL || http_out_init(&c->out) < 0)
        return -ENOMEM;
    r = net_loop_init(&c->loop);
    if (r < 0)
        return r;
    c->has_loop = true;
    c->admin = (struct http_server){
        .ops = ops->admin,
        .settings = &g->view->settings->http,
        .loop = &c->loop,
        .metrics = c->metrics,
        .out = &c->out,
        .is_loopback = addr_is_loopback(&c->admin_addr),
        .takes_spare = true,
    };
    r = http_server_open(&c->admin, admin_fd);
    if (r == 0)
        r = beat_start(&c->beat, &c->loop, c->metrics);
    if (r == 0)
        r = net_signal_start(&c->loop, &c->signals[0], SIGTERM, on_signal);
    if (r == 0)
        r = net_signal_start(&c->loop, &c->signals[1], SIGINT, on_signal);
    if (r == 0)
        r = net_signal_start(&c->loop, &c->hangup, SIGHUP, on_hangup);
    if (r == 0)
        r = prober_init(&c->prober, &c->loop, &prober_ops, g->desk.fleet.hash_key);
    if (r == 0)
        control_take_view(c, g->view);
    return r;
}

void control_run(struct control *c)
{
    net_loop_run(&c->loop);
}

void control_fini(struct control *c)
{
    if (c->has_loop) {
        http_server_close(&c->admin);
        prober_stop(&c->prober);
        beat_stop(&c->beat);
        flights_close(c);
        net_signal_stop(&c->signals[0]);
        net_signal_stop(&c->signals[1]);
        net_signal_stop(&c->hangup);
        net_loop_fini(&c->loop);
        flights_free(c);
    }
    prober_free(&c->prober);
    http_out_fini(&c->out);
    c->metrics = metrics_free(c->metrics);
}
