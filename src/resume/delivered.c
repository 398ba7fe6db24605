/* SPDX-License-Identifier: MIT */
#include "resume/delivered.h"

#include "resume/ids.h"

void delivered_init(struct delivered *d, size_t max_bytes)
{
    *d = (struct delivered){
        .content = BUF_INIT(max_bytes),
        .thinking = BUF_INIT(max_bytes),
        .ids = BUF_INIT(IDS_MAX),
        .event = BUF_INIT(DELIVERED_EVENT_MAX),
        .is_unfit = max_bytes == 0,
    };
}

void delivered_fini(struct delivered *d)
{
    buf_fini(&d->content);
    buf_fini(&d->thinking);
    buf_fini(&d->ids);
    buf_fini(&d->event);
}

void delivered_add(struct delivered *d, const struct api_piece *piece, struct str record)
{
    bool has_text = piece->content.raw.len + piece->thinking.raw.len > 0;
    bool is_first = d->n_texts + d->n_others == 0;

    if (d->is_unfit)
        return;
    /* A record with a text repeats ids that stood in those before it. */
    if (is_first || !has_text)
        ids_collect(&d->ids, record);
    if (d->content.len == 0 && piece->content.raw.len > 0 && !str_starts(record, STR("{")))
        (void)!buf_put(&d->event, record); /* without it there is one way less to go on */
    if (has_text)
        d->n_texts++;
    else
        d->n_others++;
    if (piece->has_more || api_text_decode(&piece->thinking, &d->thinking) < 0 ||
        api_text_decode(&piece->content, &d->content) < 0) {
        delivered_fini(d);
        d->is_unfit = true;
    }
}
