/*
 * A parser of headers for all tests of a group.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_HEADERS_H
#define RINGCHAT_UNIT_SUPPORT_HEADERS_H

#include "common/wire/headers.h"

extern struct headers *headers;

/* The group's setup and teardown. */
int open_headers(void **state);
int close_headers(void **state);

#endif
