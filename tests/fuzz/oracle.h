/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jansson as the oracle of our JSON room, with the names that both have out of the way. Its macros
 * that ask for a type (json_is_string() and the like) would see our names, so they are not for use
 * here.
 */

#define JSON_STRING JANSSON_STRING
#define JSON_TRUE   JANSSON_TRUE
#define JSON_FALSE  JANSSON_FALSE
#define JSON_NULL   JANSSON_NULL
#define json_null   jansson_null
#include <jansson.h>
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#undef json_null
