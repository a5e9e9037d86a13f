/*
 * The engine of support_chat.h.
 */
#include "tests/unit/support_chat.h"

#include "common/chat/internal.h"
#include "tests/unit/support_chat_binary.h"
#include "tests/unit/support_chat_check.h"
#include "tests/unit/support_random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES_MIN 4096
#define LINE_BYTES 16384
#define TURNS_MAX 2000000

struct engine engine;

const uint8_t engine_key[KEY_BYTES_MIN] = {1};

static struct rng session_random;

static struct chat *chat_of(unsigned worker)
{
    return shards_chat(engine.shards, worker);
}

/* ---- Bytes --------------------------------------------------------------- */

/* Not by malloc, which the tests make fail to see what the chat does. */
static void bytes_grow(struct bytes *bytes, size_t needed)
{
    size_t capacity = bytes->capacity ? bytes->capacity : BYTES_MIN;
    void *data;

    while (capacity < needed)
        capacity *= 2;
    if (bytes->data)
        data = mremap(bytes->data, bytes->capacity, capacity, MREMAP_MAYMOVE);
    else
        data = mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                    /* cppcheck-suppress invalidFunctionArg; see mmap(2) */
                    MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0); /* cppcheck-suppress invalidFunctionArg */
    if (data == MAP_FAILED)
        abort();
    bytes->data = data;
    bytes->capacity = capacity;
}

void bytes_append(struct bytes *bytes, const void *from, size_t length)
{
    if (bytes->length + length > bytes->capacity)
        bytes_grow(bytes, bytes->length + length);
    if (length > 0)
        memcpy(bytes->data + bytes->length, from, length);
    bytes->length += length;
}

void bytes_release(struct bytes *bytes)
{
    if (bytes->data)
        munmap(bytes->data, bytes->capacity);
    *bytes = (struct bytes){0};
}

/* ---- What the chat is given --------------------------------------------- */

static void give_random(void *bytes, size_t length)
{
    unsigned char *out = bytes;

    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)rng_next(&session_random);
}

static void give_link(void *user, struct link_sample *sample)
{
    *sample = ((const struct client *)user)->link;
}

static void keep_log(enum log_level level, const char *event,
                     const struct log_field *fields, size_t count)
{
    (void)level;
    bytes_append(&engine.log, event, strlen(event));
    for (size_t i = 0; i < count; i++) {
        char number[24];

        bytes_append(&engine.log, " ", 1);
        bytes_append(&engine.log, fields[i].key, strlen(fields[i].key));
        bytes_append(&engine.log, "=", 1);
        if (fields[i].kind == LOG_TEXT) {
            bytes_append(&engine.log, fields[i].text, fields[i].length);
            continue;
        }
        (void)snprintf(number, sizeof(number), "%llu",
                       (unsigned long long)fields[i].number);
        bytes_append(&engine.log, number, strlen(number));
    }
    bytes_append(&engine.log, "\n", 1);
}

size_t engine_logged(const char *text)
{
    const char *at = engine.log.data;
    size_t left = engine.log.length;
    size_t count = 0;

    while (left > 0 && (at = memmem(at, left, text, strlen(text)))) {
        count++;
        at++;
        left = (size_t)(engine.log.data + engine.log.length - at);
    }
    return count;
}

/* ---- A send ------------------------------------------------------------- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What is being sent has not moved or changed since it was offered. */
static void flight_verify(const struct client *client)
{
    size_t at = 0;

    for (int i = 0; i < client->flying_count; i++) {
        assert_memory_equal(client->flight.data + at,
                            client->flying[i].iov_base,
                            client->flying[i].iov_len);
        at += client->flying[i].iov_len;
    }
    assert_int_equal(at, client->flight.length);
}

/* The peer has what its socket takes of it at once, whenever the engine learns
 * that the send is over. */
static void flight_land(struct client *client)
{
    size_t landed = smaller(client->flight.length, client->send_max);

    if (landed > client->takes)
        landed = (size_t)client->takes;
    if (client->takes != TAKES_ALL)
        client->takes -= landed;
    bytes_append(&client->out, client->flight.data, landed);
    client->landed = landed;
}

static void flight_begin(struct client *client, int count)
{
    client->flying_count = count;
    client->flight.length = 0;
    for (int i = 0; i < count; i++) {
        assert_true(client->flying[i].iov_len > 0);
        bytes_append(&client->flight, client->flying[i].iov_base,
                     client->flying[i].iov_len);
    }
    assert_true(client->flight.length <= SPAN_BYTES_MAX);
    flight_land(client);
}

static void flight_end(struct client *client)
{
    flight_verify(client);
    client->flying_count = 0;
    client->blocked = client->landed < client->flight.length;
    session_sent(client->session, client->landed);
}

static void client_close(struct client *client, enum reason reason)
{
    struct session *session = client->session;

    client->drained = reason == REASON_ENDED && is_drained(session);
    session_close(session, reason);
    client->session = NULL;
    client->closed = true;
    if (client->flying_count > 0)
        client->dying = session;
    else
        session_free(session);
}

static void client_flush(struct client *client)
{
    int count;

    if (client->flying_count > 0)
        return;
    count = session_pending(client->session, client->flying, 2);
    if (count > 0) {
        flight_begin(client, count);
        if (!client->completes_late)
            flight_end(client);
    } else if (count == SESSION_SHUT) {
        assert_false(client->shut);
        client->shut = true;
    } else if (count == SESSION_END) {
        client_close(client, REASON_ENDED);
    }
}

/* ---- One turn ----------------------------------------------------------- */

/* A send that began a turn ago is over. */
static bool client_complete(struct client *client)
{
    if (client->flying_count == 0)
        return false;
    if (client->dying) {
        flight_verify(client);
        client->flying_count = 0;
        session_free(client->dying);
        client->dying = NULL;
        return true;
    }
    flight_end(client);
    return !client->blocked || client->takes > 0;
}

static bool client_receive(struct client *client)
{
    size_t length =
        smaller(client->in.length - client->in_from, client->receive_max);

    if (!client->session || !client->reading || client->eof_told)
        return false;
    assert_false(session_paused(client->session));
    if (client->exact)
        length = smaller(length, session_need(client->session));
    if (length > 0) {
        const char *from = client->in.data + client->in_from;

        client->in_from += length;
        client->reading =
            session_receive(client->session, from, length) == VERDICT_CONTINUE;
        assert_int_equal(session_paused(client->session), !client->reading);
        return true;
    }
    if (!client->half_closed)
        return false;
    client->eof_told = true;
    session_eof(client->session);
    return true;
}

/* Its socket can be written to again. */
static bool client_write(struct client *client)
{
    if (!client->session || !client->blocked || client->takes == 0 ||
        client->flying_count > 0)
        return false;
    client_flush(client);
    return true;
}

static bool client_answer(struct client *client)
{
    return client->answers && !client->closed && !client->half_closed &&
           frame_answer(client);
}

static bool each_client(unsigned worker, bool (*step)(struct client *))
{
    bool moved = false;

    for (size_t i = 0; i < engine.count; i++) {
        if (engine.clients[i].worker == worker && step(&engine.clients[i]))
            moved = true;
    }
    return moved;
}

static bool serve_ready(struct chat *chat)
{
    struct session *session;
    bool moved = false;

    while ((session = chat_next_ready(chat))) {
        struct client *client = session_user(session);

        assert_ptr_equal(client->session, session);
        client->served = ++engine.serves;
        if (!session_paused(session))
            client->reading = true;
        client_flush(client);
        moved = true;
    }
    return moved;
}

static bool is_flying(struct client *client)
{
    return client->flying_count > 0;
}

/* What is being sent may be another worker's, and good for this turn alone. */
static void turn_begin(unsigned worker)
{
    struct chat *chat = chat_of(worker);

    if (!each_client(worker, is_flying)) {
        if (chat_sleep(chat))
            chat_awake(chat);
        chat_announce(chat);
    }
    chat_tick(chat, engine.now_ns, engine.wall_us);
}

static bool worker_turn(unsigned worker, uint64_t turn)
{
    bool moved;

    turn_begin(worker);
    moved = each_client(worker, turn % 2 ? client_complete : client_receive);
    moved |= each_client(worker, turn % 2 ? client_receive : client_complete);
    moved |= serve_ready(chat_of(worker));
    moved |= each_client(worker, client_write);
    moved |= each_client(worker, client_answer);
    chat_publish(chat_of(worker));
    return moved;
}

static bool is_stopping(const struct chat *chat)
{
    return chat->stopping && chat->stop != STOP_ENDING;
}

/* Whether a worker waits for another. */
static bool is_mail_waiting(void)
{
    for (unsigned worker = 0; worker < engine.workers; worker++) {
        struct chat *chat = chat_of(worker);

        if (letters_are_there(chat) || is_stopping(chat))
            return true;
    }
    return false;
}

bool engine_turn(void)
{
    uint64_t turn = engine.turns++;
    bool moved = false;

    for (unsigned worker = 0; worker < engine.workers; worker++)
        moved |= worker_turn(worker, turn);
    if (engine.workers == 1)
        check_chat(engine.chat);
    return moved || is_mail_waiting();
}

static uint64_t next_deadline(void)
{
    uint64_t deadline = UINT64_MAX;

    for (unsigned worker = 0; worker < engine.workers; worker++)
        deadline = earlier(deadline, chat_deadline(chat_of(worker)));
    return deadline;
}

static bool any_turn_is_full(void)
{
    for (unsigned worker = 0; worker < engine.workers; worker++) {
        if (is_turn_full(chat_of(worker)))
            return true;
    }
    return false;
}

static void time_pass(uint64_t ns)
{
    engine.now_ns += ns;
    engine.wall_us += ns / NS_PER_US;
}

/* Until a speaker may go on, who waits for others to be sent what was said. */
static uint64_t until_next_turn(void)
{
    uint64_t deadline = next_deadline();

    if (deadline > engine.now_ns && deadline <= engine.now_ns + TURN_LOOK_NS)
        return deadline - engine.now_ns;
    return 1;
}

static bool somebody_awaits_turn(void)
{
    for (size_t i = 0; i < engine.count; i++) {
        if (engine.clients[i].session &&
            is_turn_awaited(engine.clients[i].session))
            return true;
    }
    return false;
}

void engine_run(void)
{
    unsigned turns = 0;

    for (;;) {
        bool moved = engine_turn();

        assert_true(turns++ < TURNS_MAX);
        if (any_turn_is_full())
            time_pass(until_next_turn());
        else if (!moved && somebody_awaits_turn())
            time_pass(1);
        else if (!moved)
            break;
    }
    if (engine.workers == 1)
        check_chat_idle(engine.chat);
}

void engine_was_away(uint64_t ns)
{
    for (unsigned worker = 0; worker < engine.workers; worker++)
        chat_was_away(chat_of(worker), ns);
}

struct room *engine_room(const char *name)
{
    uint32_t owner = room_owner(engine.chat, slice_of(name));

    return room_find(chat_of(owner), slice_of(name));
}

struct metrics engine_metrics(void)
{
    struct totals totals = {.sessions = 0};

    for (unsigned worker = 0; worker < engine.workers; worker++)
        totals_add(&totals, chat_of(worker));
    return totals.metrics;
}

void engine_shutdown(void)
{
    for (unsigned worker = 0; worker < engine.workers; worker++)
        chat_shutdown(chat_of(worker), DRAIN_NS);
}

void engine_wait(uint64_t ns)
{
    uint64_t until = engine.now_ns + ns;

    engine_run();
    while (next_deadline() <= until) {
        assert_true(next_deadline() > engine.now_ns);
        time_pass(next_deadline() - engine.now_ns);
        engine_run();
    }
    time_pass(until - engine.now_ns);
    engine_run();
}

/* ---- Start and stop ----------------------------------------------------- */

struct chat_config engine_config(void)
{
    return (struct chat_config){
        .sessions_max = CLIENTS_MAX,
        .memory_bytes_max = UINT64_MAX / 2,
        .room_window_bytes = MIB,
        .presence_members_max = 64,
        .handshake_timeout_ns = 10 * SECONDS,
        .frame_timeout_ns = 30 * SECONDS,
        .idle_timeout_ns = 600 * SECONDS,
        .heartbeat_ns = 5 * SECONDS,
        .stall_timeout_ns = 60 * SECONDS,
        .drain_timeout_ns = DRAIN_NS,
        .wire =
            {
                .line_bytes_max = 4096,
                .frame_bytes_max = 16384,
                .message_bytes_max = MIB,
                .heartbeat_s = 5,
                .key = engine_key,
                .key_length = sizeof(engine_key),
            },
        .slow_consumer = SLOW_CONSUMER_LAG,
        .random = give_random,
        .link = give_link,
        .log = keep_log,
    };
}

static void wake_nobody(void *nobody, uint32_t from, uint32_t to)
{
    (void)nobody;
    (void)from;
    (void)to;
}

static unsigned workers_forced; /* 0: as many as are wanted */

int engine_alone(void **state)
{
    (void)state;
    workers_forced = 1;
    return 0;
}

int engine_of_two(void **state)
{
    (void)state;
    workers_forced = 2;
    return 0;
}

int engine_of_three(void **state)
{
    (void)state;
    workers_forced = 3;
    return 0;
}

int engine_together(void **state)
{
    (void)state;
    workers_forced = 0;
    return 0;
}

static unsigned workers_wanted(void)
{
    const char *wanted = getenv("RINGCHAT_WORKERS");

    if (workers_forced > 0)
        return workers_forced;
    return wanted ? (unsigned)strtoul(wanted, NULL, 10) : 1;
}

static void client_release(struct client *client)
{
    bytes_release(&client->in);
    bytes_release(&client->out);
    bytes_release(&client->flight);
}

/* What a test that failed left behind goes with the process, and is no leak
 * to report besides. */
static void engine_clear(void)
{
    static struct shards *left_behind[64];
    static size_t count;

    if (engine.chat && count < ARRAY_LENGTH(left_behind))
        left_behind[count++] = engine.shards;
    for (size_t i = 0; i < engine.count; i++)
        client_release(&engine.clients[i]);
    bytes_release(&engine.log);
    engine.chat = NULL;
    engine.count = 0;
    engine.serves = 0;
    engine.turns = 0;
}

void engine_start(const struct chat_config *config)
{
    struct chat_config own = *config;

    engine_clear();
    engine.now_ns = 1000 * SECONDS;
    engine.wall_us = UINT64_C(1795238741123456);
    session_random.state = 1;
    own.wake = wake_nobody;
    engine.workers = workers_wanted();
    engine.shards = shards_create(&own, engine.workers);
    engine.chat = engine.shards ? chat_of(0) : NULL;
    if (engine.chat)
        engine_turn();
}

void engine_start_default(void)
{
    struct chat_config config = engine_config();

    engine_start(&config);
    assert_non_null(engine.chat);
}

/* Until no worker owes another anything. */
static void finish(void)
{
    unsigned done = 0;

    for (unsigned turns = 0; done < engine.workers; turns++) {
        assert_true(turns < TURNS_MAX);
        engine_turn();
        time_pass(TURN_LOOK_NS);
        done = 0;
        for (unsigned worker = 0; worker < engine.workers; worker++)
            done += chats_are_done(chat_of(worker));
    }
}

void engine_stop(void)
{
    for (size_t i = 0; i < engine.count; i++) {
        struct client *client = &engine.clients[i];

        if (client->session)
            client_close(client, REASON_RESET);
        client_complete(client);
    }
    if (engine.workers == 1)
        check_chat(engine.chat);
    /* Each `disconnected` has a `connected` in it, and another before it. */
    assert_int_equal(engine_logged("connected session="),
                     2 * engine_logged("disconnected session="));
    finish();
    shards_destroy(engine.shards);
    engine.chat = NULL;
    engine_clear();
}

void engine_forget(void)
{
    for (size_t i = 0; i < engine.count; i++)
        client_forget(&engine.clients[i]);
}

/* ---- Clients ------------------------------------------------------------ */

struct client *client_connect_as(enum dialect dialect, const struct peer *from)
{
    struct client *client = &engine.clients[engine.count];
    struct peer peer = *from;

    assert_true(engine.count < CLIENTS_MAX);
    *client = (struct client){
        .dialect = dialect,
        .takes = TAKES_ALL,
        .send_max = SIZE_MAX,
        .receive_max = RECEIVE_BYTES_MAX,
        .reading = true,
    };
    peer.user = client;
    client->worker = (unsigned)(engine.count % engine.workers);
    client->session = session_open(chat_of(client->worker), dialect, &peer);
    if (!client->session)
        return NULL;
    engine.count++;
    return client;
}

struct client *client_connect_from(const struct peer *from)
{
    return client_connect_as(DIALECT_TEXT, from);
}

struct client *client_connect(void)
{
    return client_connect_from(&(struct peer){.name = "nowhere"});
}

void clients_connect(size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_non_null(client_connect());
    engine_run();
    engine_forget();
}

struct client *client_open(const char *nick)
{
    struct client *client = client_connect();

    assert_non_null(client);
    client_tell(client, "/nick %s", nick);
    client_forget(client);
    (void)snprintf(client->nick, sizeof(client->nick), "%s", nick);
    return client;
}

void client_send_bytes(struct client *client, const void *bytes, size_t length)
{
    bytes_append(&client->in, bytes, length);
}

__attribute__((format(printf, 2, 0))) static void
send_formatted(struct client *client, const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    int length = vsnprintf(line, sizeof(line), format, arguments);

    assert_true(length >= 0 && (size_t)length < sizeof(line));
    client_send_bytes(client, line, (size_t)length);
    client_send_bytes(client, "\n", 1);
}

void client_send(struct client *client, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_formatted(client, format, arguments);
    va_end(arguments);
}

void client_tell(struct client *client, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_formatted(client, format, arguments);
    va_end(arguments);
    engine_run();
}

void client_half_close(struct client *client)
{
    client->half_closed = true;
}

void client_reset(struct client *client)
{
    if (client->session)
        client_close(client, REASON_RESET);
}

void client_stall(struct client *client)
{
    client->takes = 0;
}

void client_unstall(struct client *client)
{
    client->takes = TAKES_ALL;
    engine_run();
}

const char *client_line(struct client *client)
{
    size_t left = client_unread(client);
    char *from, *end;

    if (client->dialect != DIALECT_TEXT)
        return binary_line(client);
    if (left == 0)
        return NULL;
    from = client->out.data + client->out_from;
    end = memchr(from, '\n', left);
    if (!end)
        return NULL;
    *end = '\0';
    client->out_from += (size_t)(end - from) + 1;
    return from;
}

bool line_begins(const char *line, const char *form, uint64_t *numbers)
{
    for (; *form != '\0'; form++) {
        size_t length = 1;

        if (*form == '~')
            length = strcspn(line, " ");
        else if (*form == '#')
            length = strspn(line, "0123456789");
        else if (*form != *line)
            return false;
        if (length == 0)
            return false;
        if (*form == '#')
            *numbers++ = strtoull(line, NULL, 10);
        line += length;
    }
    return true;
}

size_t client_unread(const struct client *client)
{
    return client->out.length - client->out_from;
}

void client_forget(struct client *client)
{
    while (client_line(client))
        ;
}

/* ---- Expectations ------------------------------------------------------- */

void expect_line(const char *file, int line, struct client *client,
                 const char *format, ...)
{
    const char *got = client_line(client);
    char wanted[LINE_BYTES];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(wanted, sizeof(wanted), format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < sizeof(wanted));
    if (got && strcmp(got, wanted) == 0)
        return;
    print_error("%s: expected \"%s\", got \"%s\"\n", client->nick, wanted,
                got ? got : "(nothing)");
    _fail(file, line);
}

void expect_nothing(const char *file, int line, struct client *client)
{
    const char *got = client_line(client);

    if (!got && client_unread(client) == 0)
        return;
    print_error("%s: expected nothing, got \"%s\"\n", client->nick,
                got ? got : "(part of a line)");
    _fail(file, line);
}

void expect_nothing_by_all(const char *file, int line)
{
    for (size_t i = 0; i < engine.count; i++)
        expect_nothing(file, line, &engine.clients[i]);
}

void expect_start(const char *file, int line, struct client *client,
                  const char *start)
{
    const char *got = client_line(client);

    if (got && strncmp(got, start, strlen(start)) == 0)
        return;
    print_error("%s: expected \"%s...\", got \"%s\"\n", client->nick, start,
                got ? got : "(nothing)");
    _fail(file, line);
}
