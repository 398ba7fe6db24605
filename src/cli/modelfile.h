/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Modelfile
 *
 * An instruction and its value, then the next: the rest of a line, "quoted", or between two """
 * over several lines. # begins a comment. What is parsed points into the text. Pure.
 */

#include "base/str.h"

enum modelfile_word {
    MODELFILE_FROM,
    MODELFILE_SYSTEM,
    MODELFILE_TEMPLATE,
    MODELFILE_LICENSE,
    MODELFILE_PARAMETER, /* has a name */
    MODELFILE_MESSAGE,   /* its name is the role */
};

struct modelfile_instruction {
    enum modelfile_word word;
    struct str name; /* "" where the word has none */
    struct str value;
};

#define MODELFILE_END 1

/**
 * modelfile_next() - one instruction off the front of @rest
 * @ret:  set on 0
 *
 * Return: 0; MODELFILE_END; -EINVAL no such instruction, or its value is missing or does not end;
 * @rest begins with it.
 */
MUST_USE int modelfile_next(struct str *rest, struct modelfile_instruction *ret);
