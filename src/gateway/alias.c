/* SPDX-License-Identifier: MIT */
#include "gateway/alias.h"

#include <errno.h>

#include "gateway/gateway.h"
#include "json/edit.h"

/* Of a route whose path ends in the model. */
static int rename_in_target(struct exchange *ex, struct str model)
{
    struct str target = ex->request.target;
    struct str query = str_from(target, str_find(target, '?'));
    struct str path = ex->route->path;
    char *at = arena_alloc(&ex->arena, path.len + model.len + query.len + 1);
    char *end = at;

    if (at == NULL)
        return -ENOMEM;
    end = mempcpy(end, path.s, path.len);
    end = mempcpy(end, model.s, model.len);
    end = mempcpy(end, query.len > 0 ? query.s : "", query.len);
    ex->request.target = str_make(at, (size_t)(end - at));
    ex->asked.model = model;
    if (model_key_parse(model, &ex->asked.key) < 0)
        ex->asked.key.len = 0;
    return 0;
}

/* The old body and the new one differ by a few bytes, which memory.bodies may be over by. */
static void replace_body(struct exchange *ex, struct buf body)
{
    (void)atomic_fetch_add_explicit(&ex->worker->gateway->bodies_bytes, body.len - ex->body.len,
                                    memory_order_relaxed);
    buf_fini(&ex->body);
    ex->body = body;
    exchange_set_body(ex, buf_str(&ex->body));
}

static int rename_in_body(struct exchange *ex, struct str model)
{
    struct buf body = BUF_INIT(ex->body.len + model.len);
    struct json_edit edit;
    int r;

    json_edit_init(&edit, buf_str(&ex->body), &body);
    json_edit_replace_text(&edit, ex->asked.model_raw, model);
    r = json_edit_finish(&edit);
    if (r < 0) {
        buf_fini(&body);
        return -ENOMEM;
    }
    replace_body(ex, body);
    (void)!api_request_read(ex->route, buf_str(&ex->body), &ex->asked); /* as before */
    return 0;
}

int alias_resolve(struct exchange *ex)
{
    struct str model;

    if (ex->asked.key.len == 0 || ex->route->work == API_MANAGED)
        return 0;
    model = model_settings_alias(&ex->view->settings->models, &ex->asked.key);
    if (model.s == NULL)
        return 0;
    ex->tl.model = arena_dup(&ex->arena, ex->asked.model); /* the old body goes */
    ex->tl.real = model;
    return ex->route->id == ROUTE_V1_MODEL ? rename_in_target(ex, model)
                                           : rename_in_body(ex, model);
}
