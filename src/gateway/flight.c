/* SPDX-License-Identifier: MIT */
#include "gateway/flight.h"

#include <errno.h>

#include "base/err.h"
#include "gateway/control.h"
#include "gateway/gateway.h"

#define UNREAD_MAX 64
#define FIELDS_MAX 512
#define BODY_MAX   (64 * 1024) /* of a shared request, and of an answer that is not streamed */
#define RECORD_MAX (64 * 1024)

struct flight {
    struct control *control;
    struct list link;
    struct list seats;
    struct view *view; /* whose settings the upstream has */
    struct upstream upstream;
    struct attempt attempt;
    struct attempt_request request;
    uint16_t node;
    char *share; /* owned; "": not shared */
    struct buf fields;
    struct buf body;
    struct buf last; /* record, for those who missed it and those who come late */
    int status;      /* 0: no head yet */
    char type[64];
    size_t n_bytes; /* of an answer that is not streamed */
    bool is_over;   /* nobody can join it any more */
};

enum note_kind {
    NOTE_HEAD,
    NOTE_RECORD,
    NOTE_BYTES,
    NOTE_END
};

struct flight_note {
    struct net_mail mail;
    struct flight_seat *seat;
    enum note_kind kind;
    int status;
    bool is_stream;
    enum call_outcome outcome;
    char why[160];
    size_t len;
    char text[];
};

/*
 * Notes: from control to a seat
 */

static void on_note(struct net_mail *mail)
{
    struct flight_note *note = container_of(mail, struct flight_note, mail);
    struct flight_seat *s = note->seat;
    struct str text = str_make(note->text, note->len);
    const struct flight_head head = {
        .status = note->status, .is_stream = note->is_stream, .type = text};

    (void)atomic_fetch_sub_explicit(&s->n_unread, 1, memory_order_relaxed);
    if (s->has_left)
        ; /* the mail that it left by comes back behind this */
    else if (note->kind == NOTE_END)
        s->ops->on_end(s, note->outcome, note->why);
    else if (note->kind == NOTE_HEAD)
        s->ops->on_head(s, &head);
    else if (note->kind == NOTE_RECORD)
        s->ops->on_record(s, text);
    else
        s->ops->on_bytes(s, text);
    free(note);
}

static struct flight_note *note_new(struct flight_seat *s, enum note_kind kind, struct str text)
{
    struct flight_note *note = calloc(1, sizeof(*note) + text.len);

    if (note == NULL)
        return NULL;
    note->mail.deliver = on_note;
    note->seat = s;
    note->kind = kind;
    note->len = text.len;
    if (text.len > 0)
        memcpy(note->text, text.s, text.len);
    return note;
}

static void post(struct flight_note *note)
{
    (void)atomic_fetch_add_explicit(&note->seat->n_unread, 1, memory_order_relaxed);
    net_mail_post(note->seat->from, &note->mail);
}

/* Return: whether it was sent. */
static bool tell(struct flight_seat *s, enum note_kind kind, struct str text)
{
    struct flight_note *note = note_new(s, kind, text);

    if (note == NULL)
        return false;
    note->status = s->flight->status;
    note->is_stream = s->flight->attempt.is_stream;
    post(note);
    return true;
}

static void tell_record(struct flight_seat *s, struct str record)
{
    bool is_behind = atomic_load_explicit(&s->n_unread, memory_order_relaxed) >= UNREAD_MAX;

    s->has_missed = is_behind || !tell(s, NOTE_RECORD, record);
}

/* The seat is its owner's again. */
static void tell_end(struct flight_seat *s, enum call_outcome outcome, const char *why)
{
    struct flight_note *note = s->end_note;

    if (s->has_missed)
        (void)tell(s, NOTE_RECORD, buf_str(&s->flight->last));
    list_remove(&s->link);
    s->flight = NULL;
    note->outcome = outcome;
    (void)snprintf(note->why, sizeof(note->why), "%s", why);
    post(note);
}

/*
 * The flight itself
 */

static void flight_free(struct flight *f)
{
    list_remove(&f->link);
    desk_node_unref(&f->control->gateway->desk, f->node);
    view_unref(f->view);
    buf_fini(&f->fields);
    buf_fini(&f->body);
    buf_fini(&f->last);
    free(f->share);
    free(f);
}

static void on_empty(struct upstream *u)
{
    flight_free(container_of(u, struct flight, upstream));
}

/* It is freed when its connection is closed. */
static void retire(struct flight *f)
{
    f->is_over = true;
    upstream_retire(&f->upstream, on_empty);
}

void flights_close(struct control *c)
{
    list_for_each (it, &c->flights)
        upstream_close(&container_of(it, struct flight, link)->upstream);
}

void flights_free(struct control *c)
{
    list_for_each_safe (it, &c->flights)
        flight_free(container_of(it, struct flight, link));
}

static void end(struct flight *f, enum call_outcome outcome, const char *why)
{
    /* What the node has now is worth knowing before anybody asks for it. */
    if (outcome == CALL_OK)
        prober_look_again(&f->control->prober);
    list_for_each_safe (it, &f->seats)
        tell_end(container_of(it, struct flight_seat, link), outcome, why);
    retire(f);
}

/* Nobody waits for it any more. */
static void cancel(struct flight *f)
{
    attempt_cancel(&f->attempt);
    retire(f);
}

static void on_head(struct attempt *a, const struct h1_head *head)
{
    struct flight *f = container_of(a, struct flight, attempt);
    struct str type = h1_field_get(head, STR("content-type"));

    f->status = head->status;
    (void)snprintf(f->type, sizeof(f->type), STR_FMT, STR_ARG(str_head(type, sizeof(f->type) - 1)));
    list_for_each (it, &f->seats)
        (void)tell(container_of(it, struct flight_seat, link), NOTE_HEAD, str_of(f->type));
}

/* More than any progress is: the node is none of Ollama's. */
static void refuse_answer(struct flight *f)
{
    attempt_cancel(&f->attempt);
    end(f, CALL_BROKEN_ANSWER, "its answer is too long for a progress");
}

static void on_record(struct attempt *a, struct str record)
{
    struct flight *f = container_of(a, struct flight, attempt);

    buf_reset(&f->last);
    if (buf_put(&f->last, record) < 0) {
        refuse_answer(f);
        return;
    }
    list_for_each (it, &f->seats)
        tell_record(container_of(it, struct flight_seat, link), record);
}

static void on_bytes(struct attempt *a, struct str bytes)
{
    struct flight *f = container_of(a, struct flight, attempt);

    f->n_bytes += bytes.len;
    if (f->n_bytes > BODY_MAX) {
        refuse_answer(f);
        return;
    }
    list_for_each (it, &f->seats)
        (void)tell(container_of(it, struct flight_seat, link), NOTE_BYTES, bytes);
}

static void on_flush(struct attempt *a)
{
    (void)a;
}

static void on_end(struct attempt *a)
{
    struct flight *f = container_of(a, struct flight, attempt);

    end(f, f->status < 400 ? CALL_OK : CALL_CALLER_FAULT, "");
}

static void on_fail(struct attempt *a, enum call_outcome outcome, int err)
{
    end(container_of(a, struct flight, attempt), outcome, err_text(err));
}

static const struct attempt_ops flight_attempt_ops = {
    .name = "flight",
    .on_head = on_head,
    .on_record = on_record,
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_end = on_end,
    .on_fail = on_fail,
};

static int start(struct flight *f)
{
    return attempt_start(&f->attempt, &flight_attempt_ops, &f->upstream, &f->request,
                         /* is_fresh= */ true);
}

/* A request of the flight's own, since it may outlive who began it. */
static int own_request(struct flight *f, const struct attempt_request *q)
{
    int r = buf_put(&f->body, q->body);

    if (r == 0)
        r = buf_printf(&f->fields,
                       "Content-Type: application/json\r\nVia: %s\r\nContent-Length: %zu\r\n",
                       f->control->gateway->via, f->body.len);
    f->request.body = buf_str(&f->body);
    f->request.fields = buf_str(&f->fields);
    f->request.method = STR("POST");
    f->request.target = STR("/api/pull");
    return r;
}

static struct flight *flight_new(struct flight_seat *s)
{
    struct desk *desk = &s->control->gateway->desk;
    struct flight *f = calloc(1, sizeof(*f));
    int r = 0;

    if (f == NULL)
        return NULL;
    f->control = s->control;
    f->node = s->node;
    f->view = view_ref(s->control->gateway->view);
    desk_node_ref(desk, s->node);
    f->fields = BUF_INIT(FIELDS_MAX);
    f->body = BUF_INIT(BODY_MAX);
    f->last = BUF_INIT(RECORD_MAX);
    f->share = str_dup(s->share);
    list_init(&f->seats);
    list_put_back(&s->control->flights, &f->link);
    f->request = *s->request;
    r = upstream_init(&f->upstream, &s->control->loop, f->view->upstream,
                      desk_node_name(desk, s->node), desk_node_url(desk, s->node));
    if (r == 0 && s->share.len > 0)
        r = own_request(f, s->request);
    if (r == 0 && f->share != NULL && start(f) == 0)
        return f;
    retire(f);
    return NULL;
}

static struct flight *find(const struct flight_seat *s)
{
    if (s->share.len == 0)
        return NULL;
    list_for_each (it, &s->control->flights) {
        struct flight *f = container_of(it, struct flight, link);

        if (!f->is_over && f->node == s->node && str_eq(str_of(f->share), s->share))
            return f;
    }
    return NULL;
}

static void on_join(struct net_mail *mail)
{
    struct flight_seat *s = container_of(mail, struct flight_seat, join_mail);
    struct flight *f = find(s);
    bool is_late = f != NULL;

    if (f == NULL)
        f = flight_new(s);
    if (f == NULL) {
        tell_end(s, CALL_CANCELLED, "out of memory or descriptors");
        return;
    }
    s->flight = f;
    list_put_back(&f->seats, &s->link);
    if (is_late && f->status != 0)
        (void)tell(s, NOTE_HEAD, str_of(f->type));
    if (is_late && f->last.len > 0)
        tell_record(s, buf_str(&f->last));
}

static void on_left(struct net_mail *mail)
{
    struct flight_seat *s = container_of(mail, struct flight_seat, leave_mail);

    s->ops->on_end(s, CALL_CANCELLED, "");
}

/* The mail goes back as it came: then nothing of the seat is under way any more. */
static void on_leave(struct net_mail *mail)
{
    struct flight_seat *s = container_of(mail, struct flight_seat, leave_mail);
    struct flight *f = s->flight;

    if (f != NULL) {
        list_remove(&s->link);
        s->flight = NULL;
        free(s->end_note);
        if (list_is_empty(&f->seats))
            cancel(f);
    }
    s->leave_mail.deliver = on_left;
    net_mail_post(s->from, &s->leave_mail);
}

/*
 * Seats
 */

int flight_join(struct flight_seat *s)
{
    list_init(&s->link);
    s->flight = NULL;
    s->has_left = false;
    s->has_missed = false;
    s->end_note = note_new(s, NOTE_END, STR_NULL);
    if (s->end_note == NULL)
        return -ENOMEM;
    s->join_mail.deliver = on_join;
    s->leave_mail.deliver = on_leave;
    net_mail_post(&s->control->loop, &s->join_mail);
    return 0;
}

void flight_leave(struct flight_seat *s)
{
    if (s->has_left)
        return;
    s->has_left = true;
    net_mail_post(&s->control->loop, &s->leave_mail);
}
