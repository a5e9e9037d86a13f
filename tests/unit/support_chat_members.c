/*
 * The members of support_chat_members.h.
 */
#include "tests/unit/support_chat_members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct client *members[ENCODINGS];
const char *const nicks[ENCODINGS] = {"tess", "fred", "sue", "seal"};

struct chat_config quiet_config(void)
{
    struct chat_config config = engine_config();

    config.heartbeat_ns = config.idle_timeout_ns = 0;
    return config;
}

struct client *open_member(enum encoding encoding, const char *nick)
{
    return encoding == ENCODING_TEXT ? client_open(nick)
                                     : binary_open(encoding, nick);
}

void start_members_with(const struct chat_config *config)
{
    engine_start(config);
    assert_non_null(engine.chat);
    for (enum encoding e = 0; e < ENCODINGS; e++)
        members[e] = open_member(e, nicks[e]);
    for (enum encoding e = 0; e < ENCODINGS; e++)
        assert_int_equal(members[e]->session->encoding, e);
    engine_forget();
}

void start_members(void)
{
    struct chat_config config = quiet_config();

    start_members_with(&config);
}

struct room *lobby(void)
{
    return engine_room("lobby");
}

void say(enum encoding from, const char *text)
{
    if (from == ENCODING_TEXT)
        client_send(members[from], "%s", text);
    else if (from == ENCODING_FRAME)
        frame_message(members[from], 0, "", "%s", text);
    else
        secure_send(members[from], MESSAGE, "", text, strlen(text));
}

void say_number(enum encoding from, unsigned number, int length)
{
    char text[5000];

    (void)snprintf(text, sizeof(text), "%u %0*d", number, length, 1);
    say(from, text);
}

static void account_message(struct account *account, uint64_t number,
                            uint64_t bytes)
{
    if (account->guess) {
        assert_true(number > account->next);
        account->missed += number - account->next;
        account->next = number;
        account->guess = false;
    }
    assert_int_equal(number, account->next);
    account->next++;
    account->bytes += bytes;
    if (bytes > account->record)
        account->record = bytes;
}

static void account_lag(struct account *account, uint64_t missed)
{
    assert_true(missed > 0);
    account->missed += missed;
    account->next += missed;
    account->told++;
    account->bytes = 0;
}

void account_all(struct account *account, enum encoding encoding)
{
    struct client *client = members[encoding];
    size_t before = client->out_from;
    const char *line;

    for (; (line = client_line(client)); before = client->out_from) {
        uint64_t number;

        if (line_begins(line, "[lobby] * lagged: # ", &number) ||
            line_begins(line, "NOTICE lagged lobby: #", &number)) {
            account_lag(account, number);
        } else if (strcmp(line, "NOTICE lagged lobby: (sealed)") == 0) {
            account->guess = true;
            account->told++;
            account->bytes = 0;
        } else if (line_begins(line, "[lobby] ~ # ", &number)) {
            account_message(account, number, client->out_from - before);
        } else if (line_begins(line, "MESSAGE # lobby ", &number)) {
            account_message(account, number - 1, client->out_from - before);
        }
    }
    assert_int_equal(client_unread(client), 0);
}

void expect_all_account(void)
{
    for (enum encoding e = 0; e < ENCODINGS; e++) {
        struct account account = {.next = 0};

        if (members[e]->closed || members[e]->shut)
            continue;
        account_all(&account, e);
        assert_false(account.guess);
        assert_int_equal(account.next, lobby()->seq);
    }
}
