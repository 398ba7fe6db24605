/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Log
 *
 * Lines go into a bounded ring and a thread of its own writes them, so no worker waits for a
 * terminal or a pipe. When the ring is full lines are dropped and counted, and the next line
 * written says how many. Any thread may log. The sink is the process's one global besides the build
 * information. Two streams: events (stderr) and access (a path, "stdout", or "off").
 *
 * Format `human` (terminal: coloured unless NO_COLOR) or `json` (one object a line). `auto` chooses
 * by isatty of the stream.
 */

#include "base/str.h"

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
};

enum log_format {
    LOG_AUTO,
    LOG_HUMAN,
    LOG_JSON,
};

struct log_settings {
    enum log_level level;
    enum log_format format;
    const char *access;  /* "stdout" | "off" | path */
    const char *program; /* "chasqui": human lines begin with "chasqui: "; must outlive the log */
};

/*
 * Opens the streams and starts the writer thread. Before it, and after log_stop(), events go
 * straight to stderr and access lines nowhere. Return: 0; -EALREADY; -errno of opening the access
 * log or of the thread.
 */
MUST_USE int log_start(const struct log_settings *settings);

/* Writes what is left and ends the thread. */
void log_stop(void);

/* Any thread. */
void log_set_level(enum log_level level);

bool log_is_on(enum log_level level);

/* One event. @event is a stable word ("node_down"); the text says what, where, and what to do. */
void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF(3, 4);

/*
 * Access log: which form a line must have, whether it is on at all, and one whole line with its LF.
 */
bool log_access_is_on(void);
bool log_access_is_human(void);
bool log_access_has_colour(void);
void log_access_line(struct str line);

/* Lines dropped since log_start(), of both streams. */
uint64_t log_n_dropped(void);
