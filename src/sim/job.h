/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A request to a model, from the moment it is understood until its answer is out
 *
 * Waits for the model and a slot, then produces tokens at the node's pace. A format turns them into
 * records of its API; the job knows none of them. Nothing is sent before the first token.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "net/loop.h"
#include "sim/ask.h"
#include "sim/faults.h"
#include "sim/sched.h"
#include "sim/text.h"

struct sim;
struct sim_conn;
struct sim_job;

struct sim_format {
    const char *name;
    struct str stream_type; /* Content-Type of a stream */
    struct str whole_type;
    void (*begin)(struct sim_job *job); /* records in front of the text; may be NULL */
    void (*token)(struct sim_job *job, struct str text); /* one record */
    void (*end)(struct sim_job *job);                    /* records behind it */
    void (*whole)(struct sim_job *job,
                  struct str text);       /* the answer that is not streamed, into job->out */
    void (*instead)(struct sim_job *job); /* not text but vectors, into job->out; else NULL */
};

struct sim_job {
    struct sim *sim;
    const struct sim_format *format;
    struct sim_ticket ticket;
    struct arena arena; /* of the request */
    struct sim_ask ask;
    struct sim_fault fault;
    struct sim_text text;
    struct str echo;   /* goes in front of the first token */
    struct buf out;    /* the record in the making */
    struct buf prefix; /* of every record: the constant part in front */
    struct buf said;   /* not streamed: the answer so far; with stop strings: what is held back */
    struct buf told;   /* for formats that repeat the text at its end */
    uint64_t id;
    uint64_t n_prompt; /* tokens */
    uint64_t n_tokens;
    uint64_t n_events; /* for formats that number them */
    nsec_t arrived_at; /* monotonic */
    nsec_t first_at;   /* first token */
    nsec_t ended_at;
    nsec_t arrived_wall;
    struct str done_reason;
    bool is_on;
    bool has_begun; /* something was sent */
    bool is_stalled;
    struct net_timer timer; /* next token */
    struct net_task task;   /* next tokens, without a pause */
};

MUST_USE int sim_job_init(struct sim_job *job, struct sim *sim);
void sim_job_fini(struct sim_job *job);

/**
 * sim_job_start() - begin, with job->ask parsed
 * @model:  installed
 */
void sim_job_start(struct sim_job *job, struct sim_model *model, const struct sim_format *format);

/* Answers without the model: @format's `whole`. */
void sim_job_answer(struct sim_job *job, const struct sim_format *format);

/* The client is gone. Without a request in work: nothing. */
void sim_job_cancel(struct sim_job *job);

/* Everything written is sent. */
void sim_job_go_on(struct sim_job *job);

/* Ends a job whose answer is out, and frees its memory. */
void sim_job_done(struct sim_job *job);

/*
 * For formats: appends to job->out, as it is or as a JSON string. Without memory the connection
 * breaks.
 */
void sim_job_put(struct sim_job *job, struct str bytes);
void sim_job_put_string(struct sim_job *job, struct str text);

/* For formats: sends job->out as one record and empties it. */
void sim_job_record(struct sim_job *job);

/* The connection that embeds @job, and its stream. */
struct sim_conn *sim_job_conn(struct sim_job *job);
struct net_stream *sim_job_stream(struct sim_job *job);
