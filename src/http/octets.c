/* SPDX-License-Identifier: MIT */
#include "http/octets.h"

#define V     OCTET_VALUE
#define TG    (OCTET_TARGET | V)
#define TG_H  (OCTET_HOST | TG)
#define TK    (OCTET_TOKEN | TG)
#define TK_H  (OCTET_TOKEN | TG_H)
#define SHARP (OCTET_TOKEN | V) /* a fragment never travels, so '#' has no place in a target */

/*
 * A reg-name may hold ',' by the letter of RFC 3986, but no host on earth does, and two Host fields
 * joined by a careless proxy look just like that. It is not of the class.
 */
__extension__ const uint8_t octets_class[256] = {
    ['\t'] = V,    [' '] = V,    ['0' ... '9'] = TK_H, ['A' ... 'Z'] = TK_H, ['a' ... 'z'] = TK_H,
    ['!'] = TK_H,  ['$'] = TK_H, ['&'] = TK_H,         ['\''] = TK_H,        ['*'] = TK_H,
    ['+'] = TK_H,  ['-'] = TK_H, ['.'] = TK_H,         ['_'] = TK_H,         ['~'] = TK_H,
    ['#'] = SHARP, ['%'] = TK,   ['^'] = TK,           ['`'] = TK,           ['|'] = TK,
    ['('] = TG_H,  [')'] = TG_H, [';'] = TG_H,         ['='] = TG_H,         ['"'] = TG,
    [','] = TG,    ['/'] = TG,   [':'] = TG,           ['<'] = TG,           ['>'] = TG,
    ['?'] = TG,    ['@'] = TG,   ['['] = TG,           ['\\'] = TG,          [']'] = TG,
    ['{'] = TG,    ['}'] = TG,   [0x80 ... 0xff] = V,
};
