/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Inside of a session (private to this room)
 *
 * session.c   life, dispatch, connection errors
 * calls.c     the table of calls, and what is told to the application
 * timing.c    next_due, tick
 * receive.c   messages put together, credit granted
 * client.c    what a client's application asks for, and the frames it gets
 * gather.c    small requests of a client that go together
 * ask_plain.c likewise, in the plain profile
 * server.c    the frames a server gets; batch.c, serve_plain.c likewise
 * respond.c   what a server's application asks for
 * out.c       messages waiting to be sent
 * run.c       small chunks of a stream, waiting together
 * sched.c     which of them goes next
 * output.c    the bytes of one write
 */

#include "mcp/session.h"

#define MCP_OUT_FRONT 16  /* in front of a payload: header 8, room for a block with TOTAL_LEN 8 */
#define MCP_SMALL_CAP 448 /* bytes of a pooled message, with MCP_OUT_FRONT */
#define MCP_RUN_CAP   4032

/*
 * A message, or a whole control frame, waiting to be written. Or a run: small chunks behind one
 * another, whole frames with their headers, from bytes[0] on.
 */
struct mcp_out {
    struct mcp_out *next;
    char *body;       /* behind the block, or in `memory`; of a run: nothing */
    void *memory;     /* that it was given with a long answer, or NULL */
    uint32_t seq;     /* of a control frame */
    uint32_t ext_len; /* with its length field; 0: no block */
    uint32_t body_len;
    uint32_t sent;        /* of the body; body and sent of a run: without its headers */
    uint16_t method_len;  /* of the TLV METHOD, the first one */
    uint16_t deadline_at; /* offset of the value in the block; 0: none */
    uint16_t run_at;      /* of a run: its first frame that was not sent */
    uint16_t run_len;     /* of a run: bytes in it; 0: it is none */
    uint16_t n_pins;      /* batches that point into it */
    uint8_t type;
    uint8_t kind;  /* of the pool; N_MCP_KINDS: memory of its own */
    bool is_begun; /* its first frame has been written */
    bool is_done;  /* freed when unpinned */
    char bytes[];  /* front, block, body */
};

#define MCP_BATCH_PIECES 32
#define MCP_BATCH_PINS   16
#define MCP_BATCH_BYTES  (15 * 1024)
#define MCP_BATCH_MAX    65536 /* with what it points at */

/* The frames of one gathering write: small ones copied, bodies of large ones by reference. */
struct mcp_batch {
    uint32_t n_pieces;
    uint32_t first; /* piece not sent in full */
    uint32_t n_pins;
    uint32_t len; /* of bytes[] */
    uint32_t total;
    struct str pieces[MCP_BATCH_PIECES];
    struct mcp_out *pins[MCP_BATCH_PINS];
    char bytes[MCP_BATCH_BYTES];
};

enum {
    MCP_WAKE_ROOM = 1 << 0,
    MCP_WAKE_START = 1 << 1,  /* server: its lane is free */
    MCP_WAKE_END = 1 << 2,    /* client: on_end with end_code */
    MCP_WAKE_CANCEL = 1 << 3, /* server: on_cancel with reason */
};

/* An error of ours. */
static inline struct mcp_error mcp_own_error(unsigned code, unsigned flags, const char *text)
{
    return (struct mcp_error){.code = (uint16_t)code,
                              .flags = (uint8_t)flags,
                              .origin = MCP_ORIGIN_TRANSPORT,
                              .retry_after_ms = MCP_NO_RETRY_AFTER,
                              .text = str_of(text)};
}

/* session.c */
void mcp_session_fail(struct mcp_session *s, unsigned code,
                      const char *text); /* connection error */
void mcp_session_refuse(struct mcp_session *s, unsigned code, unsigned flags, const char *text);
void mcp_session_die(struct mcp_session *s, unsigned code); /* close without words */
void mcp_session_flush(struct mcp_session *s);
void mcp_session_drain(struct mcp_session *s); /* FLUSH once nothing is left */
static inline bool mcp_session_is_over(const struct mcp_session *s)
{
    return s->state >= MCP_STATE_FLUSH;
}
/* What the other side said about itself. */
void mcp_session_agree(struct mcp_session *s, const struct mcp_hello *theirs);
/* Queues an ERROR that must not be lost: without memory the session dies. */
void mcp_session_answer_error(struct mcp_session *s, uint32_t seq, const struct mcp_ext *ext,
                              const struct mcp_error *error);
/* Takes one from the abuse bucket. When it is empty the session fails. */
void mcp_session_abuse(struct mcp_session *s);
/* A frame for an id without a call: late, or never opened, which is an error. */
void mcp_session_stray(struct mcp_session *s, uint32_t seq);

/* calls.c */
struct mcp_call *mcp_calls_find(const struct mcp_session *s, uint32_t seq);
struct mcp_call *mcp_calls_add(struct mcp_session *s, uint32_t seq); /* NULL without memory */
void mcp_calls_unlist(struct mcp_session *s, struct mcp_call *call); /* the id is free */
void mcp_calls_drop(struct mcp_session *s,
                    struct mcp_call *call); /* frees it, unless somebody has it */
void mcp_calls_wake(struct mcp_session *s, struct mcp_call *call, unsigned wakes);
/* Client: on_end will tell it, if the application still has the handle. */
void mcp_calls_end(struct mcp_session *s, struct mcp_call *call, unsigned code, unsigned flags,
                   const char *text);
void mcp_calls_end_all(struct mcp_session *s, unsigned code, unsigned flags);
void mcp_calls_tell(struct mcp_session *s);
void mcp_calls_shrink(struct mcp_session *s); /* an idle session keeps no table */
void mcp_calls_set_due(struct mcp_session *s, struct mcp_call *call, nsec_t due);
void mcp_calls_note_newest(struct mcp_session *s, uint32_t seq);
void mcp_calls_fini(struct mcp_session *s);
/* Server: no earlier call of its lane is open. Client: none waits for its first frame. */
bool mcp_calls_is_first_in_lane(const struct mcp_session *s, const struct mcp_call *call);
void mcp_calls_lane_moved(struct mcp_session *s, uint16_t lane); /* its first call may go now */

/* receive.c */
/* Verdict on a message: 0, or the code of a call error, with its text. */
unsigned mcp_receive_check_first(const struct mcp_session *s, const struct mcp_frame *f,
                                 const struct mcp_ext *ext, struct str body, const char **ret_text);
unsigned mcp_receive_begin(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f,
                           const struct mcp_ext *ext, struct str body);
/* 0, or a code. *ret_is_whole: the last fragment is in. */
unsigned mcp_receive_more(struct mcp_session *s, struct mcp_call *call, const struct mcp_frame *f,
                          const char **ret_text, bool *ret_is_whole);
unsigned mcp_receive_keep(struct mcp_session *s, struct mcp_call *call,
                          const struct mcp_message *m);
/* Takes the kept message out of the call; the caller frees in.data with mcp_receive_free(). */
struct mcp_in mcp_receive_take(struct mcp_session *s, struct mcp_call *call,
                               struct mcp_ext *ret_ext, struct mcp_message *ret_message);
void mcp_receive_free(struct mcp_session *s, struct mcp_in *in);
void mcp_receive_drop(struct mcp_session *s, struct mcp_call *call);
/* The call whose message began last, when there are too many or they are too long; else NULL. */
struct mcp_call *mcp_receive_excess(const struct mcp_session *s);
void mcp_receive_credit(struct mcp_session *s,
                        struct mcp_call *call); /* list it if an update is due */

/* client.c */
void mcp_client_frame(struct mcp_session *s, const struct mcp_frame *f);
/* The end of a call, told unless that was done. */
void mcp_client_finish(struct mcp_session *s, struct mcp_call *call, const struct mcp_message *m,
                       const struct mcp_error *error);
void mcp_client_abandon(struct mcp_session *s, struct mcp_call *call, unsigned code,
                        const char *text);
void mcp_client_due(struct mcp_session *s, struct mcp_call *call);
MUST_USE int mcp_client_hello(struct mcp_session *s);

/* gather.c */
void mcp_gather_hold(struct mcp_session *s,
                     struct mcp_call *call); /* a new one, if it should wait */
void mcp_gather_release(struct mcp_session *s);
nsec_t mcp_gather_due(const struct mcp_session *s);
/* Nobody else is being waited for: nor should those held be. */
void mcp_gather_ease(struct mcp_session *s);
/* Sends those that may go together with the first small one. Return: whether there were any. */
bool mcp_gather_stage(struct mcp_session *s, struct mcp_batch *b);

/* server.c */
void mcp_server_frame(struct mcp_session *s, const struct mcp_frame *f);
void mcp_server_hello(struct mcp_session *s, const struct mcp_frame *f);
/* Opens a call of which @f is the first frame, or answers why not. */
void mcp_server_open(struct mcp_session *s, const struct mcp_frame *f, int ext_result,
                     const struct mcp_ext *ext, struct str body);
void mcp_server_abort(struct mcp_session *s, struct mcp_call *call, const struct mcp_error *error,
                      enum mcp_cancel reason);
void mcp_server_start(struct mcp_session *s, struct mcp_call *call); /* its lane is free */
void mcp_server_due(struct mcp_session *s, struct mcp_call *call);
void mcp_server_batch(struct mcp_session *s, const struct mcp_frame *f);

/* ask_plain.c */
/* Return: 0; -EMSGSIZE, -EOPNOTSUPP. */
MUST_USE int mcp_plain_check(const struct mcp_ext *ext, size_t body_len);
/* A Request, body included. NULL without memory. */
struct mcp_out *mcp_plain_new_request(struct mcp_session *s, const struct mcp_ext *ext,
                                      struct str body);
void mcp_plain_answered(struct mcp_session *s, const struct mcp_frame *f);

/* serve_plain.c */
void mcp_plain_begin(struct mcp_session *s);
void mcp_plain_frame(struct mcp_session *s, const struct mcp_frame *f);
/* An answer that does not wait for others, with or without a call. Return: 0; -ENOMEM. */
MUST_USE int mcp_plain_say(struct mcp_session *s, uint32_t seq, unsigned status, struct str error,
                           struct str body);
MUST_USE int mcp_plain_answer(struct mcp_call *call, unsigned status, struct str error,
                              struct str body);

/* out.c */
struct mcp_out *mcp_out_new(struct mcp_session *s, unsigned type, const struct mcp_ext *ext,
                            size_t body_len);
/* The same with a body that lies in @memory, which is the message's from now on. */
struct mcp_out *mcp_out_new_owned(struct mcp_session *s, unsigned type, const struct mcp_ext *ext,
                                  struct str body, void *memory);
void mcp_out_free(struct mcp_session *s, struct mcp_out *o); /* now, or when it is unpinned */
void mcp_out_push(struct mcp_session *s, struct mcp_call *call, struct mcp_out *o);
struct mcp_out *mcp_out_pop(struct mcp_session *s, struct mcp_call *call);
void mcp_out_drop(struct mcp_session *s, struct mcp_call *call); /* all that waits */
/* Queues a control frame, its body to be filled in by the caller. NULL without memory. */
struct mcp_out *mcp_out_control(struct mcp_session *s, unsigned type, uint32_t seq,
                                size_t body_len);
struct mcp_out *mcp_out_new_error(struct mcp_session *s, uint32_t seq, const struct mcp_ext *ext,
                                  const struct mcp_error *error);
void mcp_out_put_control(struct mcp_session *s, struct mcp_out *o);
void mcp_out_drop_control(struct mcp_session *s);

/* run.c */
#define MCP_RUN_BODY_MAX 1024
bool mcp_run_takes(const struct mcp_session *s, const struct mcp_ext *ext, size_t body_len);
/* Queues a chunk that it takes. Return: 0; -ENOMEM. */
MUST_USE int mcp_run_put(struct mcp_session *s, struct mcp_call *call, struct str body);
/* Bytes of the whole frames whose bodies together are at most @most long. */
uint32_t mcp_run_cut(const struct mcp_out *o, uint32_t most, uint32_t *ret_body_len);

/* sched.c */
void mcp_sched_unpark(struct mcp_session *s,
                      struct mcp_call *call); /* it may go on; keeps its place if it has one */
void mcp_sched_ease(struct mcp_session *s);   /* tells producers that the session has room again */
void mcp_sched_list(struct mcp_session *s,
                    struct mcp_call *call); /* it has output that may be sent now */
void mcp_sched_unlist(struct mcp_call *call);
/* The request of @call, which no frame has carried yet, was sent as an entry of a BATCH. */
void mcp_sched_sent_entry(struct mcp_session *s, struct mcp_call *call);
/* Writes the time that is left until @due into the block of @o, if it has a place for it. */
void mcp_sched_put_deadline(const struct mcp_session *s, struct mcp_out *o, nsec_t due);
/* Fills the batch with the frames of calls, as far as credit and room go. */
void mcp_sched_stage(struct mcp_session *s, struct mcp_batch *b);

/* output.c */
#define MCP_COPY_MAX 1024 /* longest body that is copied into a batch */
bool mcp_batch_has_room(const struct mcp_batch *b, size_t n_copied, bool is_pinning);
char *mcp_batch_take(struct mcp_batch *b, size_t n); /* room for @n bytes */
void mcp_batch_body(struct mcp_batch *b, struct mcp_out *o, const char *p,
                    size_t n); /* copies, or points */
void mcp_batch_drop(struct mcp_session *s);
