/* SPDX-License-Identifier: MIT */
#include "upstream/attempt.h"

#include "upstream/conn.h"

int attempt_start(struct attempt *a, const struct attempt_ops *ops, struct upstream *u,
                  const struct attempt_request *request, bool is_fresh)
{
    struct pool_member *idle = is_fresh ? NULL : pool_take(&u->pool);

    *a = (struct attempt){.ops = ops, .upstream = u, .request = request};
    if (idle != NULL)
        return conn_reuse(container_of(idle, struct upstream_conn, member), a);
    return conn_open(u, a);
}

void attempt_cancel(struct attempt *a)
{
    struct upstream_conn *c = a->conn;

    if (c == NULL)
        return;
    c->attempt = NULL;
    a->conn = NULL;
    records_fini(&a->records);
    conn_close(c);
}

void attempt_pause(struct attempt *a)
{
    if (a->conn != NULL)
        net_stream_read_stop(&a->conn->stream);
}

void attempt_resume(struct attempt *a)
{
    if (a->conn != NULL)
        net_stream_read_start(&a->conn->stream);
}
