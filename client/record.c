/*
 * Records (record.h).
 */
#include "client/record.h"

#include "client/tame.h"
#include "common/base/builder.h"
#include "common/base/escape.h"

/* Of a room or nick: their own limits are far below, but who keeps to them? */
#define NAME_SHOWN_MAX 64

/* What does not fit is counted all the same. */
struct sink {
    char *out;
    size_t size, length;
};

static void put(struct sink *sink, struct slice text)
{
    if (text.length > 0 && sink->length < sink->size) {
        size_t room = sink->size - sink->length;

        memcpy(sink->out + sink->length, text.bytes,
               text.length < room ? text.length : room);
    }
    sink->length += text.length;
}

static void put_number(struct sink *sink, uint64_t number)
{
    char digits[DECIMAL_BYTES_MAX];

    put(sink, decimal(number, digits));
}

/* ---- As text ------------------------------------------------------------ */

static void put_tamed(struct sink *sink, struct slice text, size_t most)
{
    char out[TAMED_BYTES_MAX];
    struct tamed tamed = tame(TAME_PLAIN, text, out, most);

    put(sink, (struct slice){out, tamed.length});
    if (tamed.left_out == 0)
        return;
    put(sink, SLICE("… "));
    put_number(sink, tamed.left_out);
    put(sink, SLICE(" bytes more"));
}

static void put_name(struct sink *sink, struct slice name)
{
    put_tamed(sink, name, NAME_SHOWN_MAX);
}

/* "[room] nick: text" */
static void put_said(struct sink *sink, const struct record *record)
{
    put_name(sink, record->nick);
    put(sink, SLICE(": "));
    put_tamed(sink, record->text, TAMED_BYTES_MAX);
}

/* "[room] * nick joined" */
static void put_event(struct sink *sink, const struct record *record,
                      struct slice what)
{
    put(sink, SLICE("* "));
    put_name(sink, record->nick);
    put(sink, what);
    put_tamed(sink, record->text, TAMED_BYTES_MAX);
}

static void put_missed(struct sink *sink, const struct record *record)
{
    put(sink, SLICE("* lagged: "));
    if (record->missed != MISSED_UNKNOWN) {
        put_number(sink, record->missed);
        put(sink, SLICE(" messages missed"));
    } else {
        put(sink, SLICE("messages may have been missed"));
    }
    if (record->away_ms > 0) {
        put(sink, SLICE(" in "));
        put_number(sink, (record->away_ms + 999) / 1000);
        put(sink, SLICE(" s without a connection"));
    }
}

static void put_connection(struct sink *sink, const struct record *record,
                           struct slice what)
{
    put(sink, SLICE("* "));
    put(sink, what);
    put_tamed(sink, record->text, TAMED_BYTES_MAX);
    if (record->nick.length > 0) {
        put(sink, SLICE(" as "));
        put_name(sink, record->nick);
    }
}

static void put_what(struct sink *sink, const struct record *record)
{
    switch (record->kind) {
    case RECORD_MESSAGE:
    case RECORD_PRIVATE:
        put_said(sink, record);
        return;
    case RECORD_JOINED:
        put_event(sink, record, SLICE(" joined"));
        return;
    case RECORD_LEFT:
        put_event(sink, record, SLICE(" left"));
        return;
    case RECORD_NICK:
        put_event(sink, record, SLICE(" is now "));
        return;
    case RECORD_TOPIC:
        put_event(sink, record, SLICE(" set the topic: "));
        return;
    case RECORD_MISSED:
        put_missed(sink, record);
        return;
    case RECORD_CONNECTED:
        put_connection(sink, record, SLICE("connected to "));
        return;
    case RECORD_DISCONNECTED:
        put_connection(sink, record, SLICE("connection lost: "));
        return;
    }
}

size_t record_text(const struct record *record, char *out, size_t size)
{
    struct sink sink = {.size = size};

    sink.out = out;
    if (record->kind == RECORD_PRIVATE) {
        put(&sink, SLICE("(private) "));
    } else if (record->room.length > 0) {
        put(&sink, SLICE("["));
        put_name(&sink, record->room);
        put(&sink, SLICE("] "));
    }
    put_what(&sink, record);
    return sink.length;
}

/* ---- As JSON ------------------------------------------------------------ */

static const char *const types[] = {
    [RECORD_MESSAGE] = "message",
    [RECORD_PRIVATE] = "private",
    [RECORD_JOINED] = "joined",
    [RECORD_LEFT] = "left",
    [RECORD_NICK] = "nick",
    [RECORD_TOPIC] = "topic",
    [RECORD_MISSED] = "missed",
    [RECORD_CONNECTED] = "connected",
    [RECORD_DISCONNECTED] = "disconnected",
};

/* What `text` is called in each; those that have none have no name for it. */
static const char *const text_names[] = {
    [RECORD_MESSAGE] = "text",  [RECORD_PRIVATE] = "text",
    [RECORD_NICK] = "new_nick", [RECORD_TOPIC] = "text",
    [RECORD_CONNECTED] = "url", [RECORD_DISCONNECTED] = "reason",
};

static void put_key(struct sink *sink, const char *key)
{
    put(sink, SLICE(",\""));
    put(sink, slice_of(key));
    put(sink, SLICE("\":"));
}

static void put_escaped(struct sink *sink, struct slice text)
{
    put(sink, SLICE("\""));
    while (text.length > 0) {
        struct escape next = escape_next(ESCAPE_JSON, text.bytes, text.length);

        put(sink, (struct slice){next.bytes, next.length});
        text.bytes += next.taken;
        text.length -= next.taken;
    }
    put(sink, SLICE("\""));
}

static void put_string_member(struct sink *sink, const char *key,
                              struct slice text)
{
    put_key(sink, key);
    put_escaped(sink, text);
}

static void put_number_member(struct sink *sink, const char *key,
                              uint64_t number)
{
    put_key(sink, key);
    put_number(sink, number);
}

static void put_time_member(struct sink *sink, const char *key, uint64_t us)
{
    struct builder time = {.length = 0};

    build_time(&time, us);
    put_string_member(sink, key, builder_slice(&time));
}

static void put_missed_members(struct sink *sink, const struct record *record)
{
    put_key(sink, "count");
    if (record->missed == MISSED_UNKNOWN)
        put(sink, SLICE("null"));
    else
        put_number(sink, record->missed);
    if (record->away_ms > 0)
        put_number_member(sink, "away_ms", record->away_ms);
}

size_t record_json(const struct record *record, char *out, size_t size)
{
    struct sink sink = {.size = size};

    sink.out = out;
    put(&sink, SLICE("{\"type\":"));
    put_escaped(&sink, slice_of(types[record->kind]));
    if (record->room.length > 0)
        put_string_member(&sink, "room", record->room);
    if (record->nick.length > 0)
        put_string_member(&sink, "nick", record->nick);
    if (text_names[record->kind])
        put_string_member(&sink, text_names[record->kind], record->text);
    if (record->kind == RECORD_MISSED)
        put_missed_members(&sink, record);
    if (record->seq > 0)
        put_number_member(&sink, "seq", record->seq);
    if (record->time_us > 0)
        put_time_member(&sink, "time", record->time_us);
    put_time_member(&sink, "received", record->received_us);
    put(&sink, SLICE("}"));
    return sink.length;
}
