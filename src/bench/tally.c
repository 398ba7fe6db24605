/* SPDX-License-Identifier: MIT */
#include "bench/tally.h"

static const char *const names[N_TALLY_FAULTS] = {
    [TALLY_CONNECT] = "connect", [TALLY_RESET] = "reset", [TALLY_TIMEOUT] = "timeout",
    [TALLY_STATUS] = "status",   [TALLY_ERROR] = "error", [TALLY_INCOMPLETE] = "incomplete",
    [TALLY_LOCAL] = "local",
};

const char *tally_fault_name(enum tally_fault fault)
{
    return names[fault];
}

static void keep_text(struct tally *t, enum tally_fault fault, struct str text)
{
    if (t->text_lens[fault] > 0 || text.len == 0)
        return;
    text = str_head(text, TALLY_TEXT_MAX);
    memcpy(t->texts[fault], text.s, text.len);
    t->text_lens[fault] = text.len;
}

void tally_put_fault(struct tally *t, enum tally_fault fault, unsigned status, struct str text)
{
    t->n_faults[fault]++;
    if (fault == TALLY_STATUS)
        t->n_statuses[status < TALLY_STATUSES ? status : 0]++;
    keep_text(t, fault, text);
}

uint64_t tally_n_failed(const struct tally *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < N_TALLY_FAULTS; i++)
        n += t->n_faults[i];
    return n;
}

void tally_merge(struct tally *to, const struct tally *from)
{
    to->n_good += from->n_good;
    to->n_unsent += from->n_unsent;
    for (size_t i = 0; i < N_TALLY_FAULTS; i++) {
        to->n_faults[i] += from->n_faults[i];
        keep_text(to, (enum tally_fault)i, str_make(from->texts[i], from->text_lens[i]));
    }
    for (size_t i = 0; i < TALLY_STATUSES; i++)
        to->n_statuses[i] += from->n_statuses[i];
    to->n_ended += from->n_ended;
    to->n_tokens += from->n_tokens;
    to->n_bytes += from->n_bytes;
    hist_merge(&to->latency, &from->latency);
    hist_merge(&to->service, &from->service);
    hist_merge(&to->first_token, &from->first_token);
    hist_merge(&to->between, &from->between);
    hist_merge(&to->speed, &from->speed);
}
