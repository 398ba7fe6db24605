/* SPDX-License-Identifier: MIT */
#include "gateway/resume.h"

#include "gateway/gateway.h"
#include "resume/request.h"
#include "resume/splice.h"

struct resume {
    struct splice splice;
    struct buf body; /* of the request that continues the answer */
};

void resume_init(struct exchange *ex)
{
    const struct gateway_settings *s = ex->view->settings;
    bool is_kept = s->resume_mode == RESUME_EXACT && !ex->is_resume_off && ex->tl.is_stream &&
                   ex->route->work == API_INFERENCE;

    delivered_init(&ex->have, is_kept ? s->resume_max_text_bytes : 0);
}

static void drop(struct resume *resume)
{
    splice_fini(&resume->splice);
    buf_fini(&resume->body);
    free(resume);
}

void resume_fini(struct exchange *ex)
{
    delivered_fini(&ex->have);
    if (ex->resume != NULL)
        drop(ex->resume);
    ex->resume = NULL;
}

static void say_why_not(struct exchange *ex, const char *why_not)
{
    size_t len = strlen(ex->why);

    (void)snprintf(ex->why + len, sizeof(ex->why) - len, ", and it is not continued: %s", why_not);
}

static struct splice_past past_of(const struct exchange *ex, enum splice_begin begin)
{
    nsec_t now = time_now();
    struct splice_past past = {.total_ns = (uint64_t)(now - ex->tl.begun)};

    if (begin == SPLICE_BEHIND) {
        past.n_tokens = ex->have.n_texts;
        past.eval_ns = (uint64_t)(now - ex->tl.first_record);
    }
    return past;
}

static struct resume *resume_new(struct exchange *ex, const struct resume_rule *rule)
{
    struct resume *resume = calloc(1, sizeof(*resume));
    enum splice_begin begin = resume_begin(rule, &ex->have);
    const struct splice_past past = past_of(ex, begin);

    if (resume == NULL)
        return NULL;
    resume->body = BUF_INIT(ex->body.len + 6 * ex->have.content.len + 64);
    splice_init(&resume->splice, &ex->have, begin, ex->route, &past);
    if (resume_put(rule, buf_str(&ex->body), &ex->have, &resume->body) == 0)
        return resume;
    drop(resume);
    return NULL;
}

bool resume_prepare(struct exchange *ex)
{
    struct resume_rule rule;
    struct resume *resume;

    if (ex->have.is_unfit && ex->have.n_texts == 0)
        return false; /* it was never meant to */
    resume_read(ex->route, buf_str(&ex->body), &rule);
    if (ex->have.is_unfit)
        rule.why_not = "it is longer than resume.max_text, or more than text";
    if (rule.why_not != NULL) {
        say_why_not(ex, rule.why_not);
        return false;
    }
    resume = resume_new(ex, &rule);
    if (resume == NULL)
        return false;
    if (ex->resume != NULL)
        drop(ex->resume);
    ex->resume = resume;
    exchange_set_body(ex, buf_str(&resume->body));
    return true;
}

int resume_splice(struct exchange *ex, struct str *record)
{
    int r = splice_record(&ex->resume->splice, &ex->judge, *record, record);

    if (r == SPLICE_NOTHING)
        *record = STR_NULL;
    return r < 0 ? r : 0;
}
