/* SPDX-License-Identifier: MIT */
#include "gateway/resume.h"

#include "gateway/gateway.h"
#include "gateway/relay.h"
#include "resume/request.h"
#include "resume/splice.h"

struct resume {
    struct resume_rule rule;
    uint64_t digest; /* of the model that gave the first part; 0: not known */
    enum resume_way way;
    bool is_asking;    /* RENDERED: for the prompt */
    bool is_unaskable; /* the node did not tell it */
    struct buf prompt; /* that prompt_node told */
    uint16_t prompt_node;
    struct buf body; /* of the request in hand */
    struct splice splice;
    struct str target; /* of the client's request */
};

void resume_init(struct exchange *ex)
{
    const struct gateway_settings *s = ex->view->settings;
    bool may_be = !ex->is_resume_off && ex->tl.is_stream && ex->route->work == API_INFERENCE;

    ex->max_resumes = may_be ? resume_settings_max(&s->resume, ex->ask.key, ex->tl.key) : 0;
    delivered_init(&ex->have, ex->max_resumes > 0 ? s->resume.max_text_bytes : 0);
}

void resume_fini(struct exchange *ex)
{
    struct resume *resume = ex->resume;

    delivered_fini(&ex->have);
    ex->resume = NULL;
    if (resume == NULL)
        return;
    splice_fini(&resume->splice);
    buf_fini(&resume->prompt);
    buf_fini(&resume->body);
    free(resume);
}

const struct api_route *resume_route(const struct exchange *ex)
{
    return ex->resume != NULL && ex->resume->way == RESUME_RENDERED ? api_route_get(ROUTE_GENERATE)
                                                                    : ex->route;
}

static void say_why_not(struct exchange *ex, const char *why_not)
{
    size_t len = strlen(ex->why);

    (void)snprintf(ex->why + len, sizeof(ex->why) - len, ", and it is not continued: %s", why_not);
}

static struct resume *resume_new(struct exchange *ex, const struct resume_rule *rule)
{
    struct resume *resume = calloc(1, sizeof(*resume));

    if (resume == NULL)
        return NULL;
    resume->rule = *rule;
    resume->digest = desk_model_at(&ex->worker->gateway->desk, ex->grant.node, &ex->ask).digest;
    resume->target = ex->request.target;
    resume->prompt = BUF_INIT(RELAY_HELD_MAX);
    /* A prompt and a text, each of their bytes escaped. */
    resume->body = BUF_INIT(ex->body.len + 6 * (RELAY_HELD_MAX + ex->have.content.max) + 256);
    return resume;
}

bool resume_prepare(struct exchange *ex)
{
    struct resume_rule rule;

    if (ex->have.is_unfit && ex->have.n_texts + ex->have.n_others == 0)
        return false; /* it was never meant to */
    if (ex->resume != NULL && !ex->have.is_unfit)
        return true; /* the same request, once more */
    resume_read(ex->route, buf_str(&ex->body), &rule);
    if (ex->have.is_unfit)
        rule.why_not = "it is longer than resume.max_text, or more than text";
    if (rule.why_not != NULL) {
        say_why_not(ex, rule.why_not);
        return false;
    }
    ex->resume = resume_new(ex, &rule);
    return ex->resume != NULL;
}

static struct splice_past past_of(const struct exchange *ex)
{
    nsec_t now = time_now();
    struct splice_past past = {.total_ns = (uint64_t)(now - ex->tl.begun)};

    if (ex->resume->way != RESUME_AGAIN) {
        past.n_tokens = ex->have.n_texts;
        past.eval_ns = (uint64_t)(now - ex->tl.first_record);
    }
    return past;
}

static void begin_splice(struct exchange *ex)
{
    struct resume *resume = ex->resume;
    const struct splice_past past = past_of(ex);

    splice_fini(&resume->splice);
    splice_init(&resume->splice, &ex->have,
                resume->way == RESUME_AGAIN ? SPLICE_AGAIN : SPLICE_BEHIND, ex->route,
                resume_route(ex), &past);
    resume->splice.wants_usage = resume->rule.native.wants_usage;
}

static struct str target_of(const struct resume *resume)
{
    if (resume->way != RESUME_RENDERED)
        return resume->target;
    if (!resume->is_asking)
        return api_route_get(ROUTE_GENERATE)->path;
    return resume->rule.is_native ? resume->rule.native.route->path : resume->target;
}

/* The request for the way and the step that it is at. */
static int put_request(struct exchange *ex)
{
    struct resume *resume = ex->resume;
    struct str body = buf_str(&ex->body);
    int r;

    buf_reset(&resume->body);
    if (resume->is_asking)
        r = resume_put_question(&resume->rule, body, &resume->body);
    else
        r = resume_put(&resume->rule, resume->way, body, &ex->have, buf_str(&resume->prompt),
                       &resume->body);
    if (r < 0)
        return r;
    begin_splice(ex);
    ex->request.target = target_of(resume);
    exchange_set_body(ex, buf_str(&resume->body));
    return 0;
}

static enum resume_way choose(struct exchange *ex)
{
    const struct resume *resume = ex->resume;
    const struct desk_model model =
        desk_model_at(&ex->worker->gateway->desk, ex->grant.node, &ex->ask);
    const struct resume_node node = {
        .is_same_model = model.digest != 0 && model.digest == resume->digest,
        .can_render = model.can_render && !resume->is_unaskable,
    };

    return resume_choose(&resume->rule, &ex->have, &node);
}

int resume_aim(struct exchange *ex)
{
    struct resume *resume = ex->resume;

    if (resume->prompt_node != ex->grant.node)
        buf_reset(&resume->prompt);
    resume->way = choose(ex);
    resume->is_asking = resume->way == RESUME_RENDERED && resume->prompt.len == 0;
    return put_request(ex);
}

bool resume_on_answer(struct exchange *ex)
{
    struct resume *resume = ex->resume;

    if (resume == NULL || !resume->is_asking || ex->head.status != 200)
        return false;
    buf_reset(&resume->prompt);
    resume->prompt_node = ex->grant.node;
    resume->is_unaskable = resume_read_prompt(buf_str(&ex->held), &resume->prompt) < 0;
    buf_reset(&ex->held);
    return true;
}

int resume_splice(struct exchange *ex, struct str *record)
{
    int r = splice_record(&ex->resume->splice, &ex->judge, *record, record);

    if (r == SPLICE_NOTHING)
        *record = STR_NULL;
    return r < 0 ? r : 0;
}

void resume_correct_usage(const struct exchange *ex, struct api_usage *usage)
{
    const struct api_usage *all = &ex->resume->splice.usage;

    if (all->tokens_out > 0)
        *usage = *all;
}
