/* SPDX-License-Identifier: MIT */
#include "gateway/exchange.h"

#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "gateway/alias.h"
#include "gateway/gateway.h"
#include "gateway/home.h"
#include "gateway/manage.h"
#include "gateway/merge.h"
#include "gateway/queued.h"
#include "gateway/relay.h"
#include "gateway/resume.h"
#include "gateway/upload.h"
#include "observe/access.h"
#include "observe/log.h"

#define ARENA_MAX (256 * 1024)
/* Whether a load that goes on for nobody is over: asked so soon, and then so often. */
#define LOADED_FIRST_NS     (50 * NSEC_PER_MSEC)
#define LOADED_CHECK_NS     NSEC_PER_SEC
#define WHOLE_ANSWER_FACTOR 6

/*
 * An exchange that ended is used again with the memory it has, unless a sanitizer wants to see who
 * uses it after its end.
 */
#ifdef __SANITIZE_ADDRESS__
#define KEEPS_SPARES false
#else
#define KEEPS_SPARES true
#endif
#define SPARES_MAX         64
#define SPARE_BODY_BYTES   4096
#define SPARE_FIELDS_BYTES 1024

static void exchange_free(struct exchange *ex)
{
    buf_fini(&ex->body);
    buf_fini(&ex->answer_fields);
    arena_fini(&ex->arena);
    free(ex);
}

void exchange_free_spares(struct worker *w)
{
    struct list *it;

    while ((it = list_first(&w->spare_exchanges)) != NULL) {
        list_remove(it);
        exchange_free(container_of(it, struct exchange, link));
    }
    w->n_spare_exchanges = 0;
}

static void keep_small(struct buf *b, size_t cap_max)
{
    if (b->cap > cap_max)
        buf_fini(b);
    else
        buf_reset(b);
}

static void give_spare(struct worker *w, struct exchange *ex)
{
    if (!KEEPS_SPARES || w->n_spare_exchanges >= SPARES_MAX || w->is_closing) {
        exchange_free(ex);
        return;
    }
    arena_reset(&ex->arena);
    keep_small(&ex->body, SPARE_BODY_BYTES);
    keep_small(&ex->answer_fields, SPARE_FIELDS_BYTES);
    list_put_front(&w->spare_exchanges, &ex->link);
    w->n_spare_exchanges++;
}

/* What is not cleared is empty. */
static struct exchange *take_spare(struct worker *w)
{
    struct list *it = list_first(&w->spare_exchanges);
    struct exchange *ex;

    if (it != NULL) {
        list_remove(it);
        w->n_spare_exchanges--;
        return container_of(it, struct exchange, link);
    }
    ex = malloc(sizeof(*ex));
    if (ex == NULL)
        return NULL;
    arena_init(&ex->arena, ARENA_MAX);
    ex->body = BUF_INIT(0);
    ex->answer_fields = BUF_INIT(RELAY_FIELDS_MAX);
    return ex;
}

struct exchange *exchange_new(struct worker *w, struct sink *sink)
{
    struct exchange *ex = take_spare(w);

    if (ex == NULL)
        return NULL;
    memset(ex, 0, offsetof(struct exchange, arena));
    if (net_timer_init(&w->loop, &ex->timer, exchange_on_timer) < 0) {
        exchange_free(ex);
        return NULL;
    }
    ex->worker = w;
    ex->view = view_ref(w->view);
    ex->sink = sink;
    ex->bury.run = exchange_on_bury;
    ex->deadline = NSEC_NEVER;
    ex->body.max = w->view->settings->http.body_max_bytes;
    ex->held = BUF_INIT(RELAY_HELD_MAX);
    ex->asked.model = STR_NULL;
    ex->asked.key.len = 0;
    api_answer_init(&ex->judge, NULL);
    ex->why[0] = '\0';
    ex->tl.begun = net_now(&w->loop);
    request_id_make(ex->tl.request_id, time_wall(), &w->rng);
    list_put_back(&w->exchanges, &ex->link);
    w->n_exchanges++;
    metrics_exchange_begin(w->metrics);
    return ex;
}

void exchange_on_bury(struct net_task *task)
{
    struct exchange *ex = container_of(task, struct exchange, bury);
    struct worker *w = ex->worker;

    (void)atomic_fetch_sub_explicit(&w->gateway->bodies_bytes, ex->body.len, memory_order_relaxed);
    list_remove(&ex->link);
    w->n_exchanges--;
    resume_fini(ex);
    buf_fini(&ex->held);
    view_unref(ex->view);
    give_spare(w, ex);
    worker_check_idle(w);
}

int exchange_hold(struct exchange *ex, struct str bytes)
{
    struct gateway *g = ex->worker->gateway;
    uint64_t before = atomic_fetch_add_explicit(&g->bodies_bytes, bytes.len, memory_order_relaxed);
    int r = before + bytes.len > ex->view->settings->bodies_max_bytes ? -ENOBUFS
                                                                      : buf_put(&ex->body, bytes);

    if (r < 0)
        (void)atomic_fetch_sub_explicit(&g->bodies_bytes, bytes.len, memory_order_relaxed);
    return r;
}

/*
 * The end: told once, for logs and metrics
 */

static void tell(struct exchange *ex)
{
    struct buf line = BUF_INIT(16384);
    enum access_form form = ACCESS_JSON;

    metrics_exchange_end(ex->worker->metrics, &ex->tl);
    if (!log_access_is_on())
        return;
    if (log_access_is_human())
        form = log_access_has_colour() ? ACCESS_COLOUR : ACCESS_HUMAN;
    if (access_print(&ex->tl, time_wall(), form, &line) == 0)
        log_access_line(buf_str(&line));
    buf_fini(&line);
}

void exchange_finish(struct exchange *ex, enum reason reason)
{
    assert(ex->state != EXCHANGE_ENDED && !ex->grant.is_held);

    ex->state = EXCHANGE_ENDED;
    ex->tl.reason = reason;
    ex->tl.ended = net_now(&ex->worker->loop);
    ex->tl.bytes_in = ex->body.len + ex->flowed_bytes;
    ex->tl.usage = ex->judge.usage;
    net_timer_fini(&ex->worker->loop, &ex->timer);
    if (ex->is_gone)
        ex->sink->ops->end(ex->sink, SINK_BROKEN);
    tell(ex);
    if (ex->n_abroad == 0)
        net_defer(&ex->worker->loop, &ex->bury);
}

void exchange_goes_abroad(struct exchange *ex)
{
    ex->n_abroad++;
}

void exchange_came_back(struct exchange *ex)
{
    if (--ex->n_abroad == 0 && ex->state == EXCHANGE_ENDED)
        net_defer(&ex->worker->loop, &ex->bury);
}

/* What the node says of the time it took; of an answer that two have given it says nothing. */
static struct slots_told told_of(const struct exchange *ex)
{
    const struct api_usage *u = &ex->judge.usage;

    if (ex->resume != NULL)
        return (struct slots_told){0};
    return (struct slots_told){u->total_ns, u->load_ns, u->prompt_ns, u->eval_ns};
}

void exchange_leave_desk(struct exchange *ex, enum call_outcome outcome)
{
    struct gateway *g = ex->worker->gateway;
    const struct slots_told told = told_of(ex);
    const struct fleet_outcome how = {.what = outcome, .why = ex->why, .told = &told};
    struct desk_news news;
    nsec_t settle_at;

    if (!ex->grant.is_held)
        return;
    metrics_attempt(ex->worker->metrics, desk_node_name(&g->desk, ex->grant.node),
                    call_rule_get(outcome)->name);
    settle_at = desk_leave(&g->desk, &ex->grant, &ex->ask, &how, &news);
    worker_settle_at(ex->worker, settle_at);
    gateway_log_news(g, &news);
}

/* Everything that might still come back is stopped. */
static void halt(struct exchange *ex)
{
    attempt_cancel(&ex->attempt);
    merge_cancel(ex->merge);
    manage_cancel(ex->manage);
    upload_cancel(ex->upload);
    queued_leave(ex);
    exchange_leave_desk(ex, CALL_CANCELLED);
}

static void stop(struct exchange *ex, enum reason reason)
{
    halt(ex);
    exchange_finish(ex, reason);
}

/*
 * Answers of the gateway itself
 */

void exchange_answer(struct exchange *ex, int status, struct str fields, struct str body)
{
    const struct answer_head head = {
        .status = status, .fields = fields, .has_length = true, .length = body.len};
    enum reason reason = ex->tl.reason;

    ex->tl.status = status;
    ex->tl.first_record = net_now(&ex->worker->loop);
    ex->tl.bytes_out = body.len;
    ex->sink->ops->head(ex->sink, &head);
    ex->sink->ops->bytes(ex->sink, body);
    ex->sink->ops->end(ex->sink, SINK_COMPLETE);
    /* The sink may have found its client gone, and left. */
    if (ex->state != EXCHANGE_ENDED)
        exchange_finish(ex, reason);
}

void exchange_fail(struct exchange *ex, const struct api_error *error)
{
    struct buf body = BUF_INIT(8192);
    char later[48] = "";
    char fields[208];
    int n;

    if (ex->has_begun) {
        relay_break(ex, error->reason);
        return;
    }
    if (error->status == 503)
        (void)snprintf(later, sizeof(later), "Retry-After: %u\r\n",
                       ex->come_back_s > 0 ? ex->come_back_s : 1);
    n = snprintf(fields, sizeof(fields), STR_FMT "%s%s", STR_ARG(api_json_field(ex->family)), later,
                 error->status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
    ex->tl.reason = error->reason;
    /* Without memory the status says it alone. */
    (void)!api_put_error(&body, ex->family, error);
    exchange_answer(ex, error->status, str_make(fields, (size_t)n), buf_str(&body));
    buf_fini(&body);
}

void exchange_refuse(struct exchange *ex, enum reason reason, const char *text)
{
    const struct api_error error = {
        .reason = reason,
        .status = reason_http_status(reason),
        .text = str_of(text != NULL ? text : reason_text(reason)),
    };

    exchange_fail(ex, &error);
}

void exchange_merged(struct exchange *ex, struct str body)
{
    exchange_answer(ex, 200, api_json_field(ex->family), body);
}

void exchange_refuse_no_model(struct exchange *ex)
{
    struct buf text = BUF_INIT(2 * MODEL_KEY_MAX);

    if (api_put_no_model_text(&text, ex->route, ex->asked.model) == 0 &&
        buf_put_char(&text, '\0') == 0)
        exchange_refuse(ex, REASON_no_model, text.data);
    else
        exchange_refuse(ex, REASON_no_model, NULL);
    buf_fini(&text);
}

/*
 * The next attempt
 */

static void look_again(struct exchange *ex)
{
    ex->is_looking = true;
    exchange_goes_abroad(ex);
    ex->look.from = &ex->worker->loop;
    ex->look.on_looked = exchange_on_looked;
    control_look_again(&ex->worker->gateway->control, &ex->look);
}

/* The nodes are asked once before it is said that nobody can take the request. */
void exchange_wait_for_look(struct exchange *ex)
{
    ex->state = EXCHANGE_LOOKING;
    ex->has_looked = true;
    net_timer_arm(&ex->worker->loop, &ex->timer, ex->deadline);
    look_again(ex);
}

static nsec_t whole_answer_time(const struct gateway_settings *s)
{
    if (s->whole_answer_timeout_ns != 0)
        return s->whole_answer_timeout_ns;
    return s->first_token_timeout_ns == NSEC_NEVER
               ? NSEC_NEVER
               : s->first_token_timeout_ns * WHOLE_ANSWER_FACTOR;
}

static nsec_t answer_time(const struct exchange *ex)
{
    const struct gateway_settings *s = ex->view->settings;
    nsec_t t = ex->route->work != API_INFERENCE ? s->metadata_timeout_ns
               : ex->tl.is_stream               ? s->first_token_timeout_ns
                                                : whole_answer_time(s);
    nsec_t due = t == NSEC_NEVER ? NSEC_NEVER : net_now(&ex->worker->loop) + t;

    return due < ex->deadline ? due : ex->deadline;
}

void exchange_ask_node(struct exchange *ex, bool is_fresh)
{
    struct worker *w = ex->worker;
    struct upstream *u = worker_nodes_get(&w->nodes, ex->grant.node);
    int r;

    ex->state = EXCHANGE_ASKING;
    ex->tl.n_attempts++;
    /* The node may have left the list, and its slot gone to another, before all is told. */
    ex->tl.node = arena_dup(&ex->arena, desk_node_name(&w->gateway->desk, ex->grant.node));
    ex->tl.why = ex->grant.choice.why;
    ex->has_looked = false;
    ex->retry_after_ns = -1;
    r = ex->resume != NULL ? resume_aim(ex) : 0;
    if (r == 0)
        r = u == NULL ? -ENOMEM
                      : attempt_start(&ex->attempt, &relay_ops, u, &ex->request, is_fresh);
    if (r < 0) {
        (void)snprintf(ex->why, sizeof(ex->why), "%s", err_text(r));
        if (r == -EBUSY) {
            exchange_failed(ex, CALL_OVERLOAD); /* its connections are full: elsewhere, or later */
            return;
        }
        exchange_leave_desk(ex, CALL_CANCELLED); /* our own want, not the node's fault */
        exchange_refuse(ex, REASON_overload, NULL);
        return;
    }
    ex->answer_due = answer_time(ex);
    net_timer_arm(&w->loop, &ex->timer, ex->answer_due);
}

/* Nobody can take the request now. */
static void no_grant(struct exchange *ex, int r)
{
    if (!ex->has_looked) {
        exchange_wait_for_look(ex);
        return;
    }
    if (ex->tl.n_attempts > 0) {
        exchange_failed(ex,
                        CALL_CONNECT_FAILED); /* as the attempt before it: wait, and look again */
        return;
    }
    if (r == FLEET_NO_MODEL && desk_n_up(&ex->worker->gateway->desk) > 0)
        exchange_refuse_no_model(ex);
    else
        exchange_refuse(ex, REASON_no_node, NULL);
}

void exchange_take_turn(struct exchange *ex, int r)
{
    if (r == DISPATCH_QUEUE_FULL) {
        queued_refuse(ex, REASON_queue_full);
        return;
    }
    if (r < 0) {
        exchange_refuse(ex, REASON_overload, NULL);
        return;
    }
    if (r != 0) {
        no_grant(ex, r);
        return;
    }
    ex->tl.is_known_model = ex->ask.key.len > 0;
    exchange_ask_node(ex, /* is_fresh= */ false);
}

void exchange_enter_desk(struct exchange *ex)
{
    int r;

    ex->turn = (struct desk_request){
        .in = {.ask = &ex->ask,
               .is_first = ex->state == EXCHANGE_RECEIVING,
               .n_bytes = ex->body.len},
        .loop = &ex->worker->loop,
        .on_turn = queued_on_turn,
    };
    r = desk_enter(&ex->worker->gateway->desk, &ex->turn, time_now(), &ex->grant);
    if (r == DISPATCH_QUEUED)
        queued_begin(ex);
    else
        exchange_take_turn(ex, r);
}

static enum reason reason_of(enum call_outcome outcome)
{
    static const enum reason reasons[N_CALL_OUTCOMES] = {
        [CALL_CONNECT_FAILED] = REASON_node_connect,
        [CALL_STALE_CONNECTION] = REASON_node_reset,
        [CALL_RESET] = REASON_node_reset,
        [CALL_OVERLOAD] = REASON_overload,
        [CALL_STATUS_500] = REASON_node_5xx,
        [CALL_STATUS_502_504] = REASON_node_5xx,
        [CALL_CALLER_FAULT] = REASON_bad_request,
        [CALL_DEADLINE] = REASON_deadline,
        [CALL_HALF_ANSWER] = REASON_node_reset,
        [CALL_BROKEN_ANSWER] = REASON_node_reset,
        [CALL_STALLED] = REASON_between_tokens_timeout,
        [CALL_CANCELLED] = REASON_client_gone,
        [CALL_POOL_TIMEOUT] = REASON_pool_timeout,
    };

    return reasons[outcome];
}

/* No further attempt: the client gets what there is to tell. */
static void give_up(struct exchange *ex, enum call_outcome outcome)
{
    enum reason reason = reason_of(outcome);
    char text[320];

    if (ex->has_begun) {
        relay_break(ex, ex->broken);
        return;
    }
    if (ex->state == EXCHANGE_HOLDING) {
        relay_held(ex, reason);
        return;
    }
    if (outcome == CALL_CONNECT_FAILED && desk_n_up(&ex->worker->gateway->desk) == 0)
        reason = REASON_no_node;
    (void)snprintf(text, sizeof(text), "%s: node " STR_FMT ": %s (%u attempts)",
                   reason_text(reason), STR_ARG(ex->tl.node), ex->why, ex->tl.n_attempts);
    exchange_refuse(ex, reason, text);
}

/* Whether the budget allows it; else ex->why says so besides. */
static bool may_retry(struct exchange *ex, enum call_outcome outcome)
{
    size_t len = strlen(ex->why);

    if (desk_may_retry(&ex->worker->gateway->desk, &ex->grant, outcome))
        return true;
    (void)snprintf(ex->why + len, sizeof(ex->why) - len, ", and the retry budget is used up");
    return false;
}

/* What the policy says to @outcome; a resume is asked for where the rest can be had. */
static struct retry_answer ask_policy(struct exchange *ex, enum call_outcome outcome,
                                      bool is_resume)
{
    nsec_t now = time_now();
    enum fleet_other other =
        desk_look_for_other(&ex->worker->gateway->desk, &ex->ask, ex->grant.node, now);
    const struct retry_question question = {
        .outcome = outcome,
        .now = now,
        .deadline = ex->deadline,
        .retry_after_ns = ex->retry_after_ns,
        .has_other = other != FLEET_ALONE,
        .is_other_idle = other == FLEET_OTHER_IDLE,
        .can_resume = is_resume && resume_prepare(ex),
        .max_resumes = ex->max_resumes,
    };

    return retry_decide(&ex->view->settings->retry, &ex->retry, &question, &ex->worker->rng);
}

void exchange_failed(struct exchange *ex, enum call_outcome outcome)
{
    uint16_t node = ex->grant.node;
    bool had_attempt = ex->grant.is_held;
    bool is_resume = call_rule_get(outcome)->is_resume;
    struct retry_answer answer = {.verdict = RETRY_NO};

    net_timer_disarm(&ex->timer);
    if (!ex->is_gone)
        answer = ask_policy(ex, outcome, is_resume);
    if (answer.verdict == RETRY_SAME) {
        exchange_ask_node(ex, /* is_fresh= */ true);
        return;
    }
    exchange_leave_desk(ex, outcome);
    if (ex->is_gone) {
        exchange_finish(ex, REASON_client_gone);
        return;
    }
    if (answer.verdict == RETRY_NO || (had_attempt && !may_retry(ex, outcome))) {
        give_up(ex, outcome);
        return;
    }
    if (had_attempt && ex->ask.n_tried < FLEET_MAX_TRIED)
        ex->ask.tried[ex->ask.n_tried++] = node;
    buf_reset(&ex->held);
    ex->tl.n_resumes += is_resume;
    ex->state = EXCHANGE_WAITING;
    net_timer_arm(&ex->worker->loop, &ex->timer, time_now() + answer.delay_ns);
}

void exchange_broke(struct exchange *ex, enum call_outcome outcome, enum reason reason,
                    const char *why)
{
    if (ex->broken == REASON_none)
        ex->broken = reason;
    (void)snprintf(ex->why, sizeof(ex->why), "%s", why);
    exchange_failed(ex, outcome);
}

/*
 * Time
 */

static enum reason reason_of_time(const struct exchange *ex)
{
    if (ex->state == EXCHANGE_RELAYING)
        return REASON_between_tokens_timeout;
    return ex->route->work == API_INFERENCE || ex->upload != NULL ? REASON_first_token_timeout
                                                                  : REASON_metadata_timeout;
}

/* All is stopped: what the client has not got yet it is told. */
static void end_early(struct exchange *ex, enum reason reason)
{
    if (ex->is_gone)
        exchange_finish(ex, REASON_client_gone);
    else if (manage_has_begun(ex->manage))
        manage_break(ex, reason);
    else
        exchange_refuse(ex, reason, NULL);
}

static void end_late(struct exchange *ex, enum reason reason)
{
    attempt_cancel(&ex->attempt);
    manage_cancel(ex->manage);
    upload_cancel(ex->upload);
    (void)snprintf(ex->why, sizeof(ex->why), "%s", reason_text(reason));
    exchange_leave_desk(ex, CALL_DEADLINE);
    end_early(ex, reason);
}

/* The node says that the time for the whole request is over. */
void exchange_out_of_time(struct exchange *ex)
{
    end_late(ex, REASON_deadline);
}

static void time_out(struct exchange *ex)
{
    enum reason reason = time_now() >= ex->deadline ? REASON_deadline : reason_of_time(ex);

    if (reason != REASON_between_tokens_timeout) {
        end_late(ex, reason);
        return;
    }
    attempt_cancel(&ex->attempt);
    exchange_broke(ex, CALL_STALLED, reason, reason_text(reason));
}

void exchange_on_timer(struct net_timer *timer)
{
    struct exchange *ex = container_of(timer, struct exchange, timer);

    switch (ex->state) {
    case EXCHANGE_WAITING:
        ex->has_looked = false;
        exchange_enter_desk(ex);
        break;
    case EXCHANGE_LOOKING:
        exchange_refuse(ex, REASON_deadline, NULL);
        break;
    case EXCHANGE_QUEUED:
        queued_out_of_time(ex);
        break;
    case EXCHANGE_ASKING:
    case EXCHANGE_HOLDING:
        if (ex->is_gone && time_now() < ex->answer_due) {
            look_again(ex);
            break;
        }
        time_out(ex);
        break;
    case EXCHANGE_RELAYING:
    case EXCHANGE_MANAGING:
        time_out(ex);
        break;
    case EXCHANGE_RECEIVING:
    case EXCHANGE_MERGING:
    case EXCHANGE_ENDED:
        break;
    }
}

/*
 * Begin, room, leave
 */

/* The door left room behind the fields. */
void exchange_set_body(struct exchange *ex, struct str body)
{
    char *fields = (char *)(uintptr_t)ex->request.fields.s;
    char *end = mempcpy(fields + ex->fields_len, "Content-Length: ", 16);

    end += str_put_u64(body.len, end);
    end = mempcpy(end, "\r\n", 2);
    ex->request.fields.len = (size_t)(end - fields);
    ex->request.body = body;
}

/* The model in the path is the one that is asked for. */
static void take_model_of_path(struct exchange *ex)
{
    struct str arg = api_route_arg(ex->route, ex->request.target);

    ex->asked.model = str_head(arg, str_find(arg, '?'));
    if (model_key_parse(ex->asked.model, &ex->asked.key) < 0)
        ex->asked.key.len = 0;
}

/* Return: 0, -ENOMEM. */
static int understand(struct exchange *ex)
{
    int r;

    (void)!api_request_read(ex->route, buf_str(&ex->body),
                            &ex->asked); /* unroutable: any node, which says why */
    if (ex->route->id == ROUTE_V1_MODEL)
        take_model_of_path(ex);
    ex->tl.model = ex->asked.model;
    r = alias_resolve(ex);
    if (r < 0)
        return r;
    ex->ask.key = model_key_str(&ex->asked.key);
    ex->ask.hash = hash_bytes(ex->worker->gateway->desk.fleet.hash_key, ex->ask.key);
    ex->ask.is_inference = ex->route->work == API_INFERENCE;
    ex->ask.options = ex->asked.options;
    if (ex->ask.is_inference)
        home_find(ex);
    ex->ask.needs_slot = ex->ask.is_inference && ex->ask.key.len > 0 && !ex->asked.is_load_only;
    ex->ask.needs_http = ex->route->family != API_OLLAMA || ex->route->id == ROUTE_EMBEDDINGS ||
                         ex->route->access != API_FOR_ALL;
    ex->tl.is_stream = ex->asked.is_stream;
    return 0;
}

static void begin_merge(struct exchange *ex)
{
    if (!ex->has_looked && desk_n_up(&ex->worker->gateway->desk) == 0) {
        exchange_wait_for_look(ex);
        return;
    }
    ex->state = EXCHANGE_MERGING;
    if (merge_start(ex) < 0)
        exchange_refuse(ex, REASON_overload, NULL);
}

void exchange_on_looked(struct look_again *look)
{
    struct exchange *ex = container_of(look, struct exchange, look);

    ex->is_looking = false;
    exchange_came_back(ex);
    if (ex->state == EXCHANGE_ENDED)
        return;
    if (ex->state == EXCHANGE_LOOKING && ex->route->work == API_MERGED)
        begin_merge(ex);
    else if (ex->state == EXCHANGE_LOOKING && ex->route->work == API_MANAGED)
        manage_start(ex);
    else if (ex->state == EXCHANGE_LOOKING)
        exchange_enter_desk(ex);
    else if (desk_is_resident(&ex->worker->gateway->desk, ex->grant.node, &ex->ask))
        stop(ex, REASON_client_gone); /* it was a load for nobody, and it is over */
    else
        net_timer_arm(&ex->worker->loop, &ex->timer, time_now() + LOADED_CHECK_NS);
}

static void answer_version(struct exchange *ex)
{
    char version[64];
    char body[128];
    int n;

    desk_version(&ex->worker->gateway->desk, version);
    if (version[0] == '\0') {
        exchange_refuse(ex, REASON_no_node, NULL);
        return;
    }
    n = snprintf(body, sizeof(body), "{\"version\":\"%s\"}", version);
    exchange_answer(ex, 200, api_json_field(API_OLLAMA), str_make(body, (size_t)n));
}

static void answer_local(struct exchange *ex)
{
    if (ex->route->id == ROUTE_VERSION)
        answer_version(ex);
    else
        exchange_answer(ex, 200, STR("Content-Type: text/plain; charset=utf-8\r\n"),
                        STR("Ollama is running"));
}

void exchange_start(struct exchange *ex)
{
    nsec_t total = ex->view->settings->total_timeout_ns;

    ex->tl.understood = net_now(&ex->worker->loop);
    if (total != NSEC_NEVER && ex->tl.begun + total < ex->deadline)
        ex->deadline = ex->tl.begun + total;
    if (ex->route->work == API_LOCAL) {
        answer_local(ex);
        return;
    }
    if (ex->route->work == API_MERGED) {
        begin_merge(ex);
        return;
    }
    if (ex->upload != NULL) {
        upload_end(ex);
        return;
    }
    ex->fields_len = ex->request.fields.len;
    exchange_set_body(ex, buf_str(&ex->body));
    if (ex->route->work == API_BLOB) {
        upload_ask(ex);
        return;
    }
    ex->request.deadline = ex->deadline;
    if (understand(ex) < 0) {
        exchange_refuse(ex, REASON_overload, NULL);
        return;
    }
    resume_init(ex);
    if (ex->route->work == API_MANAGED)
        manage_start(ex);
    else
        exchange_enter_desk(ex);
}

void exchange_room(struct exchange *ex)
{
    if (!ex->is_paused)
        return;
    ex->is_paused = false;
    relay_arm(ex);
    attempt_resume(&ex->attempt);
}

/* A load must not die with the one who caused it: others wait for it too. */
static bool may_be_loading(const struct exchange *ex)
{
    return (ex->state == EXCHANGE_ASKING || ex->state == EXCHANGE_HOLDING) &&
           ex->route->work == API_INFERENCE && ex->ask.key.len > 0 && !ex->grant.is_resident;
}

void exchange_leave(struct exchange *ex, struct sink *rest)
{
    if (ex->state == EXCHANGE_ENDED)
        return;
    ex->is_gone = true;
    ex->sink = rest;
    ex->tl.status = ex->has_begun ? ex->tl.status : 0;
    if (may_be_loading(ex))
        net_timer_arm(&ex->worker->loop, &ex->timer, time_now() + LOADED_FIRST_NS);
    else
        stop(ex, REASON_client_gone);
}

void exchange_abort(struct exchange *ex)
{
    if (ex->state == EXCHANGE_ENDED)
        return;
    halt(ex);
    (void)snprintf(ex->why, sizeof(ex->why), "cut off");
    end_early(ex, REASON_shutting_down);
}
