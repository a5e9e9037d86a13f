/*
 * One parser: what it keeps of a text must not matter to the next one.
 */
#include "tests/unit/support_headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct headers *headers;

int open_headers(void **state)
{
    (void)state;
    headers = headers_create();
    assert_non_null(headers);
    return 0;
}

int close_headers(void **state)
{
    (void)state;
    headers_destroy(headers);
    headers_destroy(NULL);
    return 0;
}
