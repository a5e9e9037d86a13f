/*
 * The `text` dialect of docs/protocol.md: for people with `nc` and for scripts.
 *
 * Nothing of a line that is too long takes effect (line.h). The first byte and
 * the first line may show that the peer speaks something else entirely.
 */
#include "common/wire/text.h"

#include "common/wire/clean.h"
#include "common/wire/internal.h"
#include "common/wire/line.h"
#include "common/wire/pieces.h"
#include "common/wire/tail.h"

#include <assert.h>
#include <string.h>

/* Longer than any method of the HTTP registry. */
#define METHOD_BYTES_MAX 32

/* Registered methods are upper case, some with a hyphen (RFC 9110, section 9;
 * RFC 3253). */
static bool is_method_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '-';
}

static size_t method_length(struct slice line)
{
    size_t at = 0;

    while (at < line.length && is_method_byte(line.bytes[at]))
        at++;
    return at;
}

/* A path, a URL, an authority or `*` (RFC 9112, section 3.2); at least one
 * byte. */
static bool is_http_target(const char *target, const char *end)
{
    size_t length = (size_t)(end - target);

    return !memchr(target, ' ', length) &&
           (*target == '/' || *target == '*' || memchr(target, ':', length));
}

/*
 * Whether the line is an HTTP request line: a method, a target and a version
 * with one space between them (RFC 9112, section 3). People do not greet so,
 * browsers and scanners do, and their headers are no chat.
 */
static bool is_http_request(struct slice line)
{
    static const char version[] = " HTTP/d.d";
    size_t version_length = sizeof(version) - 1;
    size_t method = method_length(line);
    const char *end;

    if (method == 0 || line.length < method + 2 + version_length)
        return false;
    if (line.bytes[method] != ' ')
        return false;
    end = line.bytes + line.length - version_length;
    if (memcmp(end, version, sizeof(" HTTP/") - 1) != 0)
        return false;
    if (end[6] < '0' || end[6] > '9' || end[7] != '.' || end[8] < '0' ||
        end[8] > '9')
        return false;
    return is_http_target(line.bytes + method + 1, end);
}

/*
 * Whether a line that is too long, `more` after the tail, begins like an HTTP
 * request: with a method and a path. It must not be taken for a line of chat,
 * for then its headers would be. No more of it counts than what makes it too
 * long: the rest may not be there yet.
 */
static bool begins_http_request(const struct wire *wire,
                                const struct decoder *decoder,
                                struct slice more)
{
    char start[METHOD_BYTES_MAX + 2];
    struct slice line = {start, 0};
    size_t most = (size_t)wire->config.line_bytes_max + 1;
    size_t method;

    if (most > sizeof(start))
        most = sizeof(start);
    while (line.length < most && line.length < tail_length(decoder)) {
        start[line.length] = (char)decoder->tail->bytes[line.length];
        line.length++;
    }
    for (size_t i = 0; line.length < most && i < more.length; i++)
        start[line.length++] = more.bytes[i];
    method = method_length(line);
    return method > 0 && method + 2 <= line.length && start[method] == ' ' &&
           start[method + 1] == '/';
}

/* A whole line becomes a request. */
static enum wire_outcome line_decode(struct decoder *decoder, struct slice line,
                                     struct request *request,
                                     enum error_code *error)
{
    bool first = !decoder->greeted;

    if (line.length == 0) {
        *request = (struct request){.kind = REQUEST_NOTHING};
        return WIRE_READY;
    }
    decoder->greeted = true;
    if (first && is_http_request(line))
        return wire_invalid(ERROR_WRONG_PROTOCOL, error);
    if (!text_is_clean(line.bytes, line.length))
        return wire_invalid(ERROR_BAD_TEXT, error);
    *request = (struct request){.kind = REQUEST_MESSAGE, .text = line};
    if (line.bytes[0] != '/')
        return WIRE_READY;
    request->text = (struct slice){line.bytes + 1, line.length - 1};
    if (line.length == 1 || line.bytes[1] != '/')
        request->kind = REQUEST_COMMAND;
    return WIRE_READY;
}

/* `end` is what there is of the line after the tail. */
static enum wire_outcome line_too_long(struct wire *wire,
                                       struct decoder *decoder,
                                       struct slice end, enum error_code *error)
{
    bool http = !decoder->greeted && begins_http_request(wire, decoder, end);

    tail_release(decoder, wire->budget);
    decoder->greeted = true;
    return wire_invalid(http ? ERROR_WRONG_PROTOCOL : ERROR_LINE_TOO_LONG,
                        error);
}

enum wire_outcome text_decode(struct wire *wire, struct decoder *decoder,
                              const unsigned char **bytes, size_t *length,
                              struct request *request, enum error_code *error)
{
    struct slice line;
    enum wire_outcome outcome =
        line_assemble(wire, decoder, wire->config.line_bytes_max, bytes, length,
                      &line, error);

    if (outcome == WIRE_READY)
        return line_decode(decoder, line, request, error);
    if (outcome == WIRE_INVALID && *error == ERROR_LINE_TOO_LONG)
        return line_too_long(wire, decoder, line, error);
    return outcome;
}

enum wire_outcome text_decode_end(struct wire *wire, struct decoder *decoder,
                                  struct request *request,
                                  enum error_code *error)
{
    struct slice line;
    enum wire_outcome outcome =
        line_assemble_end(decoder, wire->config.line_bytes_max, &line, error);

    if (outcome != WIRE_READY)
        return outcome;
    return line_decode(decoder, line, request, error);
}

static void add_room(struct pieces *pieces, struct slice room)
{
    pieces_add(pieces, SLICE("["));
    pieces_add(pieces, room);
    pieces_add(pieces, SLICE("] "));
}

/* "[room] * nick what text" */
static void add_notice(struct pieces *pieces, const struct event *event,
                       struct slice what, struct slice text)
{
    add_room(pieces, event->room);
    pieces_add(pieces, SLICE("* "));
    pieces_add(pieces, event->nick);
    pieces_add(pieces, what);
    pieces_add(pieces, text);
}

/* "nick: text" */
static void add_message(struct pieces *pieces, const struct event *event)
{
    pieces_add(pieces, event->nick);
    pieces_add(pieces, SLICE(": "));
    if (content_is_text(event->content_type))
        pieces_add(pieces, event->text);
    else
        pieces_add_description(pieces, event);
}

static void add_lagged(struct pieces *pieces, const struct event *event)
{
    add_room(pieces, event->room);
    pieces_add(pieces, SLICE("* lagged: "));
    pieces_add_number(pieces, event->number);
    pieces_add(pieces, SLICE(" messages missed"));
}

static void add_welcome(struct pieces *pieces, const struct event *event)
{
    pieces_add(pieces, SLICE("* welcome to ringchat, you are "));
    pieces_add(pieces, event->nick);
    pieces_add(pieces, SLICE(", in "));
    pieces_add(pieces, event->room);
    pieces_add(pieces, SLICE("; /help lists commands"));
}

static void pieces_of(const struct event *event, struct pieces *pieces)
{
    switch (event->kind) {
    case EVENT_MESSAGE:
        add_room(pieces, event->room);
        add_message(pieces, event);
        break;
    case EVENT_PRIVATE:
        pieces_add(pieces, SLICE("(private) "));
        add_message(pieces, event);
        break;
    case EVENT_JOINED:
        add_notice(pieces, event, SLICE(" joined"), SLICE(""));
        break;
    case EVENT_LEFT:
        add_notice(pieces, event, SLICE(" left"), SLICE(""));
        break;
    case EVENT_NICK:
        add_notice(pieces, event, SLICE(" is now "), event->text);
        break;
    case EVENT_TOPIC:
        add_notice(pieces, event, SLICE(" set the topic: "), event->text);
        break;
    case EVENT_LAGGED:
        add_lagged(pieces, event);
        break;
    case EVENT_REPLY:
        pieces_add(pieces, SLICE("* "));
        pieces_add(pieces, event->text);
        break;
    case EVENT_ECHO:
        pieces_add(pieces, event->text);
        break;
    case EVENT_ERROR:
        pieces_add(pieces, SLICE("! "));
        pieces_add_error(pieces, event);
        break;
    case EVENT_TOPIC_REPLY:
        pieces_add(pieces, SLICE("* "));
        pieces_add_topic(pieces, event);
        break;
    case EVENT_WELCOME:
        add_welcome(pieces, event);
        break;
    case EVENT_SESSION_INIT:
    case EVENT_PING:
    case EVENT_PONG:
    case EVENT_ACK:
    case EVENT_DISCONNECT:
    case EVENT_OTHER:
        assert(!"text has no word for it");
    }
    pieces_add(pieces, SLICE("\n"));
}

void text_prepare(struct outgoing *line)
{
    pieces_of(line->event, &line->content);
    line->size = pieces_size(&line->content);
}

unsigned char *text_write(const struct outgoing *line, unsigned char *out)
{
    return pieces_write(&line->content, out);
}
