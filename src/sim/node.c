/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "sim/conn.h"
#include "sim/node.h"

const struct sim_settings sim_settings_default = {
    .listen = {.host = "127.0.0.1", .port = 11434},
    .models = {STR_INIT("sim:latest"), STR_INIT("sim-embed:latest")},
    .n_models = 2,
    .n_slots = 1,
    .answer_tokens = 32,
    .token_interval_ns = 20 * NSEC_PER_MSEC,
    .keep_alive_ns = 300 * NSEC_PER_SEC,
    .version = STR_INIT("0.11.4"),
};

/* Nothing is worth keeping. */
static void on_signal(int signal)
{
    (void)signal;
    _exit(0);
}

static int listen_at(struct sim *sim, struct sim_settings *settings)
{
    int fd;
    int r = net_listen_fds(&settings->listen, 1, &fd);

    return r < 0 ? r : net_listener_open(&sim->loop, &sim->listener, fd, sim_conn_accept);
}

int sim_run(struct sim_settings *settings, void (*on_ready)(const struct sim_settings *settings))
{
    const struct sigaction action = {.sa_handler = on_signal};
    struct sim *sim CLEANUP(freep) = calloc(1, sizeof(*sim));
    int r;

    if (sim == NULL)
        return -ENOMEM;
    sim->settings = settings;
    sim->next_fault = settings->fault;
    r = net_loop_init(&sim->loop);
    if (r < 0)
        return r;
    r = sim_sched_init(&sim->sched, &sim->loop, settings);
    if (r == 0)
        r = listen_at(sim, settings);
    if (r == 0) {
        (void)sigaction(SIGTERM, &action, NULL);
        (void)sigaction(SIGINT, &action, NULL);
        on_ready(settings);
        net_loop_run(&sim->loop);
    }
    sim_sched_fini(&sim->sched);
    net_loop_fini(&sim->loop);
    return r;
}
