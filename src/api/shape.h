/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The shape of a record
 *
 * The records of a stream differ in a few strings, a text and a time, and in nothing else. A shape
 * is one record and the places of its strings; a record that fits has other strings in these places
 * and every other byte the same, so it needs no JSON reader to know what it says. A string with an
 * escape never fits. Never allocates: a record that is too long, or has too many strings, has no
 * shape, and nothing fits.
 */

#include "base/str.h"

#define API_SHAPE_BYTES   456
#define API_SHAPE_STRINGS 8

struct api_shape {
    uint16_t len; /* of bytes[]; 0: no shape */
    uint16_t n_strings;
    struct {
        uint16_t at; /* the inside, behind the quote */
        uint16_t len;
        uint16_t tag;
    } strings[API_SHAPE_STRINGS];
    char bytes[API_SHAPE_BYTES];
};

/* Begins anew, with the bytes of @record and none of its strings. */
void api_shape_begin(struct api_shape *shape, struct str record);

/* Adds a string behind those added before. @inside is a slice of the @record it began with. */
void api_shape_put(struct api_shape *shape, struct str record, struct str inside, uint16_t tag);

static inline void api_shape_drop(struct api_shape *shape)
{
    shape->len = 0;
}

/**
 * api_shape_fits() - whether a record differs in its strings only
 * @ret_strings:  on true, the insides of the strings, n_strings of them: slices of @record
 */
bool api_shape_fits(const struct api_shape *shape, struct str record,
                    struct str ret_strings[static API_SHAPE_STRINGS]);
