/*
 * How far it is, and how far it came, in words.
 */
#include "client/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>

static void check_said(const struct progress *progress, unsigned columns,
                       const char *expected)
{
    struct builder said = {.length = 0};

    progress_say(progress, columns, &said);
    said.bytes[said.length] = '\0';
    assert_string_equal(said.bytes, expected);
}

static void check_sum(const struct progress *progress, const char *expected)
{
    struct builder said = {.length = 0};

    progress_sum_up(progress, &said);
    said.bytes[said.length] = '\0';
    assert_string_equal(said.bytes, expected);
}

static void thousands_are_set_apart(void **state)
{
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {1234567, "1,234,567"},
        {UINT64_MAX, "18,446,744,073,709,551,615"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct builder builder = {.length = 0};

        build_thousands(&builder, cases[i].number);
        builder.bytes[builder.length] = '\0';
        assert_string_equal(builder.bytes, cases[i].text);
    }
}

static void what_is_known_is_said(void **state)
{
    struct progress progress = {.confirmed = 4711, .elapsed_ms = 480};

    (void)state;
    check_said(&progress, 80, "4,711 confirmed  9,814/s");
    progress.name = SLICE("messages.txt");
    check_said(&progress, 80, "messages.txt  4,711 confirmed  9,814/s");
    progress.bytes_read = 47;
    progress.bytes_size = 100;
    check_said(&progress, 80, "messages.txt  4,711 confirmed  47 %  9,814/s");
    progress.bytes_read = 101;
    check_said(&progress, 80, "messages.txt  4,711 confirmed  100 %  9,814/s");
    progress.bytes_read = progress.bytes_size = UINT64_MAX;
    progress.elapsed_ms = 0;
    check_said(&progress, 80, "messages.txt  4,711 confirmed  100 %");
}

static void it_stays_in_its_row(void **state)
{
    struct progress progress = {.name = SLICE("\u6F22\u5B57"),
                                .confirmed = 4711};

    (void)state;
    check_said(&progress, 21, "\u6F22\u5B57  4,711 confirmed");
    check_said(&progress, 20, "4,711 confirmed");
    check_said(&progress, 15, "4,711 confirmed");
    check_said(&progress, 14, "");
}

static void a_name_drives_no_terminal(void **state)
{
    struct progress progress = {.name = SLICE("\033[2J")};

    (void)state;
    check_said(&progress, 80, "\uFFFD[2J  0 confirmed");
}

static void the_last_word(void **state)
{
    struct progress progress = {.confirmed = 10000, .elapsed_ms = 1290};

    (void)state;
    check_sum(&progress, "10,000 lines confirmed in 1.2 s");
    progress.skipped = 1;
    check_sum(&progress,
              "10,000 lines confirmed in 1.2 s, 1 empty one skipped");
    progress.confirmed = 1;
    progress.skipped = 2000;
    progress.elapsed_ms = 65999;
    check_sum(&progress, "1 line confirmed in 65 s, 2,000 empty ones skipped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_are_set_apart),
        cmocka_unit_test(what_is_known_is_said),
        cmocka_unit_test(it_stays_in_its_row),
        cmocka_unit_test(a_name_drives_no_terminal),
        cmocka_unit_test(the_last_word),
    };

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
