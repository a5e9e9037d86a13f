/*
 * Long random histories: many come, talk, stall, are cut short and go, over
 * small windows, and in the midst of some the server stops. A witness that
 * always reads sits in every room; what it sees is each room's order, and from
 * it follows what each member is due: the messages between its coming and its
 * going, each once or counted as missed, and its replies in their order. Some
 * talk by frames: what they are sent is looked at as text, but for the numbers
 * of messages, which are the witness's too.
 */
#include "common/chat/internal.h"

#include "tests/unit/support_chat.h"
#include "tests/unit/support_chat_binary.h"
#include "tests/unit/support_random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS 60
#define STEPS 1500
#define ROOMS 5
#define AT_A_TIME 12
#define TALKERS_MAX 400

static const char *const rooms[ROOMS] = {"lobby", "red", "green", "blue",
                                         "grey"};

/* A reply that is due: it begins so, or is a list of lines that ends so. */
struct due {
    char start[48];
    bool list;
    bool or_error; /* or any error that does not close */
};

/* In one room, as the witness saw it and as the talker did. */
struct stay {
    struct bytes expected; /* the numbers of the messages due, in order */
    size_t next;           /* how many of them it had or was told to miss */
    bool present;
    uint64_t last; /* of its own messages there */
};

struct talker {
    struct client *client;
    char guest[NICK_BYTES_MAX + 1];
    struct stay stays[ROOMS];
    struct bytes due; /* struct due each */
    size_t due_from;
    struct bytes said;      /* the numbers of its messages */
    unsigned places[ROOMS]; /* by joining, the current room last */
    unsigned place_count;
    bool ending;                    /* it has said that it ends */
    bool failed;                    /* it was told an error that closes */
    bool lagged;                    /* namely that */
    bool refused;                   /* it came when the server was stopping */
    uint64_t privates[TALKERS_MAX]; /* the last one from each */
};

static struct rng rng;
static struct talker talkers[TALKERS_MAX];
static size_t talker_count;
static struct client *witness;
static struct bytes told; /* by message: the room it was said in, then SEEN */
static struct bytes seqs; /* by message: its number in that room, or 0 */
static struct bytes acks; /* by message: the number in its ACK, or 0 */
static uint64_t seen[ROOMS]; /* messages by the witness */
static uint64_t messages, privates;
static bool stopping, can_stall;
static uint64_t failing_seed;

#define SEEN 100

/* ---- The witness -------------------------------------------------------- */

static unsigned room_of(const char *line, const char **rest)
{
    for (unsigned i = 0; i < ROOMS; i++) {
        size_t length = strlen(rooms[i]);

        if (strncmp(line + 1, rooms[i], length) == 0 &&
            line[length + 1] == ']') {
            *rest = line + length + 3;
            return i;
        }
    }
    fail_msg("no such room: %s", line);
    return ROOMS;
}

/* "x12", with any letter, is talker 12; a guest is looked up. */
static struct talker *talker_named(const char *nick, size_t length)
{
    size_t i = talker_count;

    if (length == strlen("witness") && memcmp(nick, "witness", length) == 0)
        return NULL;
    if (length < 10)
        return &talkers[strtoul(nick + 1, NULL, 10)];
    while (i-- > 0) {
        if (strlen(talkers[i].guest) == length &&
            memcmp(talkers[i].guest, nick, length) == 0)
            return &talkers[i];
    }
    return NULL;
}

static uint64_t number_at(const struct bytes *numbers, size_t index)
{
    uint64_t number;

    assert_true((index + 1) * sizeof(number) <= numbers->length);
    memcpy(&number, numbers->data + index * sizeof(number), sizeof(number));
    return number;
}

static void set_number(struct bytes *numbers, size_t index, uint64_t number)
{
    assert_int_equal(number_at(numbers, index), 0); /* for the first time */
    memcpy(numbers->data + index * sizeof(number), &number, sizeof(number));
}

static size_t numbers(const struct bytes *bytes)
{
    return bytes->length / sizeof(uint64_t);
}

static void witness_message(unsigned room, const char *rest)
{
    uint64_t got[2], who, id;

    assert_true(line_begins(rest, "~ M # #", got));
    who = got[0];
    id = got[1];
    assert_true(who < talker_count && id < messages);
    assert_int_equal(told.data[id], room); /* there, and for the first time */
    told.data[id] = SEEN;
    set_number(&seqs, id, ++seen[room]);
    assert_true(id + 1 > talkers[who].stays[room].last);
    talkers[who].stays[room].last = id + 1;
    for (size_t i = 0; i < talker_count; i++) {
        struct stay *stay = &talkers[i].stays[room];

        if (stay->present)
            bytes_append(&stay->expected, &id, sizeof(id));
    }
}

static void witness_notice(unsigned room, const char *rest)
{
    const char *nick = rest + 2;
    size_t length = strcspn(nick, " ");
    struct talker *talker = talker_named(nick, length);
    const char *what = nick + length;

    assert_null(strstr(rest, "lagged:"));
    if (!talker)
        return;
    if (strcmp(what, " joined") == 0) {
        assert_false(talker->stays[room].present);
        talker->stays[room].present = true;
    } else if (strcmp(what, " left") == 0) {
        assert_true(talker->stays[room].present);
        talker->stays[room].present = false;
    }
}

static void witness_read(void)
{
    const char *line, *rest;

    while ((line = client_line(witness))) {
        unsigned room;

        if (strncmp(line, "! shutdown", 10) == 0 && stopping)
            continue;
        assert_int_equal(line[0], '[');
        room = room_of(line, &rest);
        if (strncmp(rest, "* ", 2) == 0)
            witness_notice(room, rest);
        else
            witness_message(room, rest);
    }
    assert_int_equal(client_unread(witness), 0);
}

/* ---- What a talker is sent ---------------------------------------------- */

/* `seq` is the message's, if it came by a frame. */
static void read_room(struct talker *talker, const char *line, uint64_t seq)
{
    const char *rest;
    struct stay *stay = &talker->stays[room_of(line, &rest)];
    uint64_t got[2];

    if (line_begins(rest, "* lagged: # messages missed", got)) {
        assert_true(got[0] > 0);
        stay->next += got[0];
        assert_true(stay->next <= numbers(&stay->expected));
    } else if (line_begins(rest, "~ M # #", got)) {
        assert_int_equal(got[1], number_at(&stay->expected, stay->next));
        if (seq > 0)
            assert_int_equal(seq, number_at(&seqs, got[1]));
        stay->next++;
    } else {
        assert_int_equal(strncmp(rest, "* ", 2), 0);
    }
}

static void read_private(struct talker *talker, const char *line)
{
    uint64_t got[2];

    assert_true(line_begins(line, "(private) ~ P # #", got));
    assert_true(got[0] < talker_count && got[1] > talker->privates[got[0]]);
    talker->privates[got[0]] = got[1];
}

static bool closing_error(const char *line)
{
    static const char *const errors[] = {"! shutdown", "! timeout", "! lagged"};

    for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
        if (strncmp(line, errors[i], strlen(errors[i])) == 0)
            return true;
    }
    return false;
}

static void read_reply(struct talker *talker, const char *line)
{
    struct due due;

    if (closing_error(line)) {
        talker->failed = true;
        talker->lagged = line[2] == 'l';
        return;
    }
    assert_true(talker->due_from < talker->due.length);
    memcpy(&due, talker->due.data + talker->due_from, sizeof(due));
    if (strncmp(line, due.start, strlen(due.start)) == 0) {
        talker->due_from += sizeof(due);
        return;
    }
    if (due.or_error && line[0] == '!') {
        talker->due_from += sizeof(due);
        return;
    }
    if (!due.list || strncmp(line, "* ", 2) != 0)
        fail_msg("due: \"%s\", got \"%s\"", due.start, line);
}

static void talker_line(struct talker *talker, const char *line, uint64_t seq)
{
    assert_false(talker->failed); /* it would be the last word */
    if (line[0] == '[')
        read_room(talker, line, seq);
    else if (line[0] == '(')
        read_private(talker, line);
    else
        read_reply(talker, line);
}

static void talker_read(struct talker *talker)
{
    struct client *client = talker->client;
    const char *line;

    while ((line = client_line(client))) {
        uint64_t ack[2], seq = 0;

        if (line_begins(line, "ACK # seq=#", ack))
            set_number(&acks, ack[0] - 1, ack[1]);
        if (client->dialect == DIALECT_FRAME)
            line = line_as_text(line, &seq);
        if (line[0] != '\0')
            talker_line(talker, line, seq);
    }
}

static void read_all(void)
{
    witness_read();
    for (size_t i = 0; i < talker_count; i++)
        talker_read(&talkers[i]);
}

/* ---- What a talker does ------------------------------------------------- */

static void expect_due(struct talker *talker, const char *start, bool list,
                       bool or_error)
{
    struct due due = {.list = list, .or_error = or_error};

    (void)snprintf(due.start, sizeof(due.start), "%s", start);
    bytes_append(&talker->due, &due, sizeof(due));
}

/* `id` is for what is said by a frame and is no command. */
static void say(struct talker *talker, const char *line, uint64_t id)
{
    struct client *client = talker->client;

    if (client->dialect == DIALECT_TEXT)
        client_send(client, "%s", line);
    else if (line[0] == '/')
        frame_command(client, (uint32_t)rng_below(&rng, 9), "%s", line + 1);
    else
        frame_message(client, (uint32_t)id, "", "%s", line);
}

static void ask(struct talker *talker, const char *line, const char *start)
{
    say(talker, line, 0);
    expect_due(talker, start, false, false);
}

static unsigned talker_index(const struct talker *talker)
{
    return (unsigned)(talker - talkers);
}

static bool current(const struct talker *talker, unsigned *room)
{
    if (talker->place_count > 0)
        *room = talker->places[talker->place_count - 1];
    return talker->place_count > 0;
}

static void do_speak(struct talker *talker)
{
    size_t padding = rng_magnitude(&rng, 500);
    uint64_t none = 0;
    char line[600];
    unsigned room;

    (void)snprintf(line, sizeof(line), "M %u %" PRIu64 " %0*d",
                   talker_index(talker), messages, (int)padding, 0);
    say(talker, line, rng_below(&rng, 2) * (messages + 1));
    bytes_append(&seqs, &none, sizeof(none));
    bytes_append(&acks, &none, sizeof(none));
    if (current(talker, &room)) {
        char where = (char)room;
        uint64_t id = messages;

        bytes_append(&talker->said, &id, sizeof(id));
        bytes_append(&told, &where, 1);
    } else {
        char nowhere = ROOMS;

        bytes_append(&told, &nowhere, 1);
        expect_due(talker, "! no-room", false, false);
    }
    messages++;
}

static void place_remove(struct talker *talker, unsigned room)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < talker->place_count; i++) {
        if (talker->places[i] != room)
            talker->places[kept++] = talker->places[i];
    }
    talker->place_count = kept;
}

static void do_join(struct talker *talker)
{
    unsigned room = (unsigned)rng_below(&rng, ROOMS);
    char line[32], reply[32];

    (void)snprintf(line, sizeof(line), "/join %s", rooms[room]);
    (void)snprintf(reply, sizeof(reply), "* joined %s (", rooms[room]);
    ask(talker, line, reply);
    place_remove(talker, room);
    talker->places[talker->place_count++] = room;
}

static void do_leave(struct talker *talker)
{
    char reply[32] = "! no-room";
    unsigned room;

    if (current(talker, &room)) {
        (void)snprintf(reply, sizeof(reply), "* left %s", rooms[room]);
        place_remove(talker, room);
    }
    ask(talker, "/leave", reply);
}

static void do_echo(struct talker *talker)
{
    char line[40], reply[40];

    (void)snprintf(line, sizeof(line), "/echo E %" PRIu64, rng_next(&rng));
    (void)snprintf(reply, sizeof(reply), "%s%s",
                   talker->client->dialect == DIALECT_TEXT ? "" : "* ",
                   line + strlen("/echo "));
    ask(talker, line, reply);
}

static void do_msg(struct talker *talker)
{
    static const char letters[] = "abc";

    char line[80];

    (void)snprintf(line, sizeof(line), "/msg %c%zu P %u %" PRIu64,
                   letters[rng_below(&rng, 3)], rng_below(&rng, talker_count),
                   talker_index(talker), ++privates);
    say(talker, line, 0);
    expect_due(talker, "* sent to ", false, true);
}

static void do_nick(struct talker *talker)
{
    char line[32], reply[32];
    char nick[16];

    (void)snprintf(nick, sizeof(nick), "%c%u", "abc"[rng_below(&rng, 3)],
                   talker_index(talker));
    (void)snprintf(line, sizeof(line), "/nick %s", nick);
    (void)snprintf(reply, sizeof(reply), "* you are now %s", nick);
    ask(talker, line, reply);
}

static void do_topic(struct talker *talker)
{
    char line[64], reply[32] = "! no-room";
    unsigned room;

    (void)snprintf(line, sizeof(line), "/topic %llx",
                   (unsigned long long)rng_next(&rng));
    if (current(talker, &room))
        (void)snprintf(reply, sizeof(reply), "* topic %s: ", rooms[room]);
    ask(talker, line, reply);
}

static void do_list(struct talker *talker)
{
    unsigned room;

    if (rng_below(&rng, 2)) {
        say(talker, "/metrics", 0);
        expect_due(talker, "* end of metrics", true, false);
        return;
    }
    say(talker, "/who", 0);
    if (current(talker, &room))
        expect_due(talker, "* end of who", true, false);
    else
        expect_due(talker, "! no-room", false, false);
}

static void do_quit(struct talker *talker)
{
    if (rng_below(&rng, 10))
        return;
    ask(talker, "/quit", "* bye");
    say(talker, "not heard any more", 0);
    talker->ending = true;
}

static void do_half_close(struct talker *talker)
{
    if (rng_below(&rng, 10))
        return;
    client_half_close(talker->client);
    talker->ending = true;
}

/* It says goodbye as frames do. */
static void do_disconnect(struct talker *talker)
{
    if (talker->client->dialect == DIALECT_TEXT || rng_below(&rng, 10))
        return;
    frame_disconnect(talker->client);
    say(talker, "not heard any more", 0);
    talker->ending = true;
}

static void do_link(struct talker *talker)
{
    struct client *client = talker->client;

    switch (rng_below(&rng, 6)) {
    case 0:
        client->takes = 0;
        break;
    case 1:
        client->takes = TAKES_ALL;
        break;
    case 2:
        client->takes = client->takes / 2 + rng_magnitude(&rng, 2000);
        break;
    case 3:
        client->send_max = 200 + rng_magnitude(&rng, 5000);
        break;
    case 4:
        client->receive_max = rng_magnitude(&rng, 2000);
        break;
    default:
        client->completes_late = rng_below(&rng, 2);
        client->exact = rng_below(&rng, 2);
        break;
    }
}

static void (*const doings[])(struct talker *) = {
    do_speak, do_speak, do_speak,      do_speak,      do_join,
    do_leave, do_echo,  do_msg,        do_nick,       do_topic,
    do_list,  do_quit,  do_link,       do_link,       do_link,
    do_echo,  do_speak, do_half_close, do_disconnect,
};

/* ---- Histories ---------------------------------------------------------- */

/* By frames a talker has a nick when others first see it, else as a guest. */
static void talker_enter(struct talker *talker)
{
    struct client *client = talker->client;
    struct slice nick = session_nick(client->session);
    char own[16];

    if (client->dialect == DIALECT_FRAME) {
        (void)snprintf(own, sizeof(own), "a%u", talker_index(talker));
        frame_hello(client, own);
        client->answers = true;
    } else {
        memcpy(talker->guest, nick.bytes, nick.length);
    }
    talker->places[talker->place_count++] = 0;
    expect_due(talker, "* welcome", false, false);
    do_nick(talker);
}

static void talker_connect(void)
{
    struct talker *talker = &talkers[talker_count];

    talker_count++;
    talker->client =
        rng_below(&rng, 2) ? client_connect() : binary_connect(DIALECT_FRAME);
    talker->refused = talker->ending = stopping;
    if (!stopping)
        talker_enter(talker);
}

static size_t living(void)
{
    size_t count = 0;

    for (size_t i = 0; i < talker_count; i++)
        count += !talkers[i].client->closed;
    return count;
}

static struct talker *pick_talker(void)
{
    struct talker *talker = &talkers[rng_below(&rng, talker_count)];

    for (size_t i = 0; i < talker_count && talker->client->closed; i++)
        talker = &talkers[rng_below(&rng, talker_count)];
    return talker;
}

static void step(void)
{
    struct talker *talker;

    if (living() < AT_A_TIME && talker_count < TALKERS_MAX - 1 &&
        (talker_count == 0 || rng_below(&rng, 10) == 0))
        talker_connect();
    talker = pick_talker();
    if (rng_below(&rng, 200) == 0)
        client_reset(talker->client);
    if (talker->ending)
        do_link(talker);
    else
        for (size_t i = rng_magnitude(&rng, 8); i > 0 && !talker->ending; i--)
            doings[rng_below(&rng, ARRAY_LENGTH(doings))](talker);
    if (rng_below(&rng, 4) == 0)
        engine_turn();
    if (rng_below(&rng, 4) == 0)
        engine_run();
    if (rng_below(&rng, 20) == 0)
        engine_wait(rng_magnitude(&rng, 20 * SECONDS));
    read_all();
}

/* All that it was due in its rooms it has had, or was told it missed. */
static void check_stays(const struct talker *talker)
{
    for (unsigned i = 0; i < ROOMS; i++) {
        const struct stay *stay = &talker->stays[i];

        assert_int_equal(stay->next, numbers(&stay->expected));
    }
}

/* All that it asked for and said has been answered and is in its room. */
static void check_said(const struct talker *talker)
{
    assert_int_equal(talker->due_from, talker->due.length);
    for (size_t i = 0; i < numbers(&talker->said); i++)
        assert_int_equal(told.data[number_at(&talker->said, i)], SEEN);
}

static void check_talker(const struct talker *talker)
{
    const struct client *client = talker->client;
    bool whole = !client->closed || client->drained;

    if (!whole || talker->refused)
        return;
    assert_int_equal(client_unread(client), 0);
    if (!talker->lagged)
        check_stays(talker);
    if (!talker->failed)
        check_said(talker);
}

static void all_read_at_last(void)
{
    for (size_t i = 0; i < talker_count; i++) {
        talkers[i].client->takes = TAKES_ALL;
        talkers[i].client->receive_max = RECEIVE_BYTES_MAX;
        talkers[i].client->send_max = SIZE_MAX;
    }
    engine_wait(DRAIN_NS + LINGER_NS + 1);
    read_all();
    for (size_t i = 0; i < talker_count; i++)
        check_talker(&talkers[i]);
    assert_true(!stopping || living() == 0);
}

static void history_begin(uint64_t seed)
{
    struct chat_config config = engine_config();

    rng.state = failing_seed = seed;
    config.room_window_bytes = 2000 + rng_magnitude(&rng, 30000);
    config.presence_members_max = 1000;
    config.stall_timeout_ns = rng_below(&rng, 3) * 20 * SECONDS;
    can_stall = config.stall_timeout_ns > 0;
    config.rate_per_second = rng_below(&rng, 4) ? 0 : 40;
    config.slow_consumer =
        rng_below(&rng, 4) ? SLOW_CONSUMER_LAG : SLOW_CONSUMER_DISCONNECT;
    config.idle_timeout_ns = 0;
    engine_start(&config);
    witness = client_open("witness");
    for (unsigned i = 1; i < ROOMS; i++) {
        client_tell(witness, "/join %s", rooms[i]);
        engine_wait(SECONDS);
    }
    client_forget(witness);
    stopping = false;
    messages = 0;
    privates = 0;
}

static void talker_release(struct talker *talker)
{
    for (unsigned i = 0; i < ROOMS; i++)
        bytes_release(&talker->stays[i].expected);
    bytes_release(&talker->due);
    bytes_release(&talker->said);
    *talker = (struct talker){0};
}

/* What is acknowledged is in its room, in that place. */
static void check_acks(void)
{
    for (size_t i = 0; i < messages; i++) {
        uint64_t ack = number_at(&acks, i);

        if (ack > 0)
            assert_int_equal(ack, number_at(&seqs, i));
    }
}

static void history_end(void)
{
    if (!can_stall) /* all answer their pings */
        assert_int_equal(engine_logged("error=timeout"), 0);
    engine_stop();
    check_acks();
    for (size_t i = 0; i < talker_count; i++)
        talker_release(&talkers[i]);
    talker_count = 0;
    bytes_release(&told);
    bytes_release(&seqs);
    bytes_release(&acks);
    memset(seen, 0, sizeof(seen));
    failing_seed = 0;
}

static void history(uint64_t seed)
{
    size_t stop_at;

    history_begin(seed);
    stop_at = rng_below(&rng, 2) ? STEPS - rng_below(&rng, STEPS / 4) : STEPS;
    for (size_t i = 0; i < STEPS; i++) {
        if (i == stop_at) {
            stopping = true;
            engine_shutdown();
        }
        step();
    }
    all_read_at_last();
    history_end();
}

static void test_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        history(seed);
}

static int name_the_seed(void **state)
{
    (void)state;
    if (failing_seed)
        print_error("the seed was %llu\n", (unsigned long long)failing_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_histories, engine_alone,
                                        name_the_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
