/*
 * Jansson's memory is one for the process, so there is one parser.
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
    headers_seed(1);
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
