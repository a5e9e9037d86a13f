/*
 * Requests become bytes, as many as may wait for the socket. They are encoded
 * as late as can be: at a loss, what has not been is as good as new.
 */
#include "lib/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* What an output keeps while it is empty, and what it begins with. */
#define OUTPUT_IDLE_BYTES 4096
#define OUTPUT_FIRST_BYTES 512

/* In `text` more than what stands around the longest request: a change of
 * rooms, two tokens, a receiver. */
#define AROUND_BYTES 256

/* ---- The output --------------------------------------------------------- */

void output_release(struct output *output)
{
    free(output->bytes);
    *output = (struct output){0};
}

static size_t output_length(const struct output *output)
{
    return output->end - output->begin;
}

void output_drop_sent(struct output *output, size_t bytes)
{
    assert(bytes <= output_length(output));
    output->begin += bytes;
    if (output->begin < output->end)
        return;
    if (output->capacity > OUTPUT_IDLE_BYTES)
        output_release(output);
    output->begin = output->end = 0;
}

/* Makes room for so many bytes more. False: no memory. */
static bool output_reserve(struct output *output, size_t bytes)
{
    size_t length = output_length(output), capacity = output->capacity;
    unsigned char *larger;

    if (capacity - output->end >= bytes)
        return true;
    if (output->begin > 0) {
        memmove(output->bytes, output->bytes + output->begin, length);
        output->begin = 0;
        output->end = length;
    }
    if (capacity - length >= bytes)
        return true;
    capacity = capacity > 0 ? capacity : OUTPUT_FIRST_BYTES;
    while (capacity - length < bytes)
        capacity *= 2;
    larger = realloc(output->bytes, capacity);
    if (!larger)
        return false;
    output->bytes = larger;
    output->capacity = capacity;
    return true;
}

/* Whether the output takes so much more before what is in it has been sent;
 * one that is as long as all of it is taken when it is empty. */
static bool output_takes(const struct output *output, size_t bytes, size_t most)
{
    size_t length = output_length(output);

    return length == 0 || length + bytes <= most;
}

static size_t greater(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* 0; -EAGAIN: the output is full; -errno as ringchat_encode. */
static int write_message(struct dialogue *dialogue,
                         const struct ringchat_message *message, size_t most)
{
    struct output *output = &dialogue->output;
    ptrdiff_t size = ringchat_encode(dialogue->codec, message, NULL, 0);

    if (size < 0)
        return (int)size;
    if (!output_takes(output, (size_t)size, most))
        return -EAGAIN;
    if (!output_reserve(output, (size_t)size))
        return -ENOMEM;
    size = ringchat_encode(dialogue->codec, message,
                           output->bytes + output->end, (size_t)size);
    if (size < 0)
        return (int)size;
    if (output_length(output) == 0)
        output->requests_max = greater((size_t)size, OUTPUT_BYTES_MAX);
    output->end += (size_t)size;
    return 0;
}

/* How much there may be with what the protocol asks for behind the requests. */
static size_t retorts_max(const struct output *output)
{
    return output->requests_max + RETORT_BYTES_MAX;
}

/* ---- What is no request ------------------------------------------------- */

static void lose(struct dialogue *dialogue, int error, uint64_t now_ns)
{
    dialogue_lose(dialogue, RINGCHAT_ERROR_NONE, error, TEXT(""), now_ns);
}

void saying_retort(struct dialogue *dialogue,
                   const struct ringchat_message *message, uint64_t now_ns)
{
    int result =
        write_message(dialogue, message, retorts_max(&dialogue->output));

    if (result < 0 && result != -EAGAIN)
        lose(dialogue, result, now_ns);
}

/* A command that the client puts in by itself. */
static int write_line(struct dialogue *dialogue, const struct builder *line,
                      size_t most)
{
    struct ringchat_message command = {
        RINGCHAT_SIZED(command),
        .kind = RINGCHAT_COMMAND,
        .text = {line->bytes, line->length},
    };

    return write_message(dialogue, &command, most);
}

void saying_build_token(struct builder *line, const struct errand *errand)
{
    build_string(line, "~");
    build_number(line, (uint32_t)errand->number);
}

static int write_token(struct dialogue *dialogue, const struct errand *errand,
                       size_t most)
{
    struct builder line = {0};
    int result;

    build_string(&line, "echo ");
    saying_build_token(&line, errand);
    result = write_line(dialogue, &line, most);
    if (result == 0)
        dialogue->loose = 0;
    return result;
}

/* A token that is no request's. */
static int say_token(struct dialogue *dialogue, size_t most, uint64_t now_ns)
{
    struct errands *errands = &dialogue->errands;
    struct errand *errand =
        errands_make_own(errands, ERRAND_TOKEN, &(struct name){0});
    int result;

    if (!errand)
        return -ENOMEM;
    result = write_token(dialogue, errand, most);
    if (result == 0)
        errands_await(errands, errand, now_ns);
    else
        errand_free(errand);
    return result;
}

static void ping_by_token(struct dialogue *dialogue, uint64_t now_ns)
{
    int result;

    if (dialogue->errands.sent.count > 0)
        return;
    result = say_token(dialogue, retorts_max(&dialogue->output), now_ns);
    if (result < 0 && result != -EAGAIN)
        lose(dialogue, result, now_ns);
}

void saying_ping(struct dialogue *dialogue, uint64_t now_ns)
{
    struct ringchat_message ping = {
        RINGCHAT_SIZED(ping), .kind = RINGCHAT_PING,
        .stamp = now_ns / NS_PER_US, /* it may be a number of JSON's */
    };

    if (dialogue->manner.dialect == RINGCHAT_TEXT) {
        ping_by_token(dialogue, now_ns);
        return;
    }
    if (dialogue->pings == HEARTBEATS_UNANSWERED_MAX) {
        dialogue->pings--;
        memmove(dialogue->pinged_ns, dialogue->pinged_ns + 1,
                dialogue->pings * sizeof(dialogue->pinged_ns[0]));
    }
    dialogue->pinged_ns[dialogue->pings++] = now_ns;
    saying_retort(dialogue, &ping, now_ns);
}

void saying_bye(struct dialogue *dialogue, uint64_t now_ns)
{
    bool text = dialogue->manner.dialect == RINGCHAT_TEXT;
    struct ringchat_message bye = {
        RINGCHAT_SIZED(bye),
        .kind = text ? RINGCHAT_COMMAND : RINGCHAT_DISCONNECT,
        .text = text ? TEXT("quit") : TEXT(""),
    };

    dialogue->phase = PHASE_PARTING;
    saying_retort(dialogue, &bye, now_ns);
}

/* ---- Requests ----------------------------------------------------------- */

static void build_command(struct builder *line, const char *word,
                          const struct name *name)
{
    build_string(line, word);
    build_slice(line, (struct slice){name->bytes, name->length});
}

/* What is said with it; of a command, `line` is the text. */
static struct ringchat_message request_of(const struct errand *errand,
                                          struct builder *line)
{
    struct ringchat_message request = {
        RINGCHAT_SIZED(request),
        .kind = RINGCHAT_COMMAND,
        .id = errand_is_awaited(errand) ? (uint32_t)errand->number : 0,
        .text = errand_text(errand),
        .content_type = errand_type(errand),
    };

    switch (errand->kind) {
    case ERRAND_SAY:
        request.kind = RINGCHAT_MESSAGE;
        request.room = name_text(&errand->name);
        return request;
    case ERRAND_TELL:
        request.kind = RINGCHAT_PRIVATE;
        request.nick = name_text(&errand->name);
        return request;
    case ERRAND_JOIN:
        build_command(line, "join ", &errand->name);
        break;
    case ERRAND_LEAVE:
        build_command(line, errand->name.length > 0 ? "leave " : "leave",
                      &errand->name);
        break;
    case ERRAND_RENAME:
        build_command(line, "nick ", &errand->name);
        break;
    case ERRAND_COMMAND:
    case ERRAND_TOKEN:
        return request;
    }
    request.text = (struct ringchat_text){line->bytes, line->length};
    return request;
}

static int say_with_id(struct dialogue *dialogue, struct errand *errand,
                       uint64_t now_ns)
{
    struct builder line = {0};
    struct ringchat_message request = request_of(errand, &line);
    int result = write_message(dialogue, &request, OUTPUT_BYTES_MAX);

    if (result < 0)
        return result;
    if (errand_is_awaited(errand))
        errands_sent(&dialogue->errands, errand, now_ns);
    else
        errands_drop(&dialogue->errands, errand);
    return 0;
}

/* In which room a request is to be said, or is asked; NULL: it does not matter,
 * or there is none. */
static const struct name *room_of(const struct dialogue *dialogue,
                                  const struct errand *errand)
{
    const struct place *current = belonging_current(&dialogue->belonging);

    if (errand->kind != ERRAND_SAY && errand->kind != ERRAND_COMMAND)
        return NULL;
    if (errand->name.length > 0)
        return &errand->name;
    return current ? &current->room : NULL;
}

/* There, words go to the current room: so it is made that, which nobody else
 * is told, for it is one that this client is in. */
static int move_to(struct dialogue *dialogue, const struct name *room)
{
    struct builder line = {0};
    int result;

    build_command(&line, "join ", room);
    result = write_line(dialogue, &line, SIZE_MAX);
    if (result == 0)
        dialogue->spoken_room = *room;
    return result;
}

/* A request with all that belongs around it: none of it stands alone. */
static int say_around(struct dialogue *dialogue, const struct errand *errand,
                      const struct ringchat_message *request,
                      const struct name *move, bool awaited, uint64_t now_ns)
{
    int result = 0;

    if (awaited && dialogue->loose > 0)
        result = say_token(dialogue, SIZE_MAX, now_ns);
    if (result == 0 && move)
        result = move_to(dialogue, move);
    if (result == 0)
        result = write_message(dialogue, request, SIZE_MAX);
    if (result == 0 && awaited)
        result = write_token(dialogue, errand, SIZE_MAX);
    return result;
}

static void say_in_place(struct dialogue *dialogue, struct errand *errand,
                         const struct ringchat_message *request,
                         uint64_t now_ns)
{
    const struct name *room = room_of(dialogue, errand);
    bool move = room && !name_is(&dialogue->spoken_room, name_text(room));
    bool awaited = errand_is_awaited(errand) || move;

    if (say_around(dialogue, errand, request, move ? room : NULL, awaited,
                   now_ns) < 0) {
        lose(dialogue, -ENOMEM, now_ns);
        return;
    }
    errand->moved = move;
    dialogue->loose += !awaited;
    if (awaited)
        errands_sent(&dialogue->errands, errand, now_ns);
    else
        errands_drop(&dialogue->errands, errand);
}

/* Where it is not, a room cannot be spoken to; there, going in would do. */
static bool is_elsewhere(struct dialogue *dialogue, const struct errand *errand)
{
    const struct place *place =
        belonging_find(&dialogue->belonging, name_text(&errand->name));

    return errand->kind == ERRAND_SAY && errand->name.length > 0 &&
           (!place || !place->inside);
}

static int say_in_text(struct dialogue *dialogue, struct errand *errand,
                       uint64_t now_ns)
{
    struct builder line = {0};
    struct ringchat_message request = request_of(errand, &line);
    ptrdiff_t size;

    if (is_elsewhere(dialogue, errand))
        return -ENOENT;
    request.id = 0;
    request.room = (struct ringchat_text){0};
    size = ringchat_encode(dialogue->codec, &request, NULL, 0);
    if (size < 0)
        return (int)size;
    if (!output_takes(&dialogue->output, (size_t)size + AROUND_BYTES,
                      OUTPUT_BYTES_MAX))
        return -EAGAIN;
    say_in_place(dialogue, errand, &request, now_ns);
    return 0;
}

/* What the codec does not take. */
static enum ringchat_error refusal(int error)
{
    switch (error) {
    case -ENOENT:
        return RINGCHAT_ERROR_NO_SUCH_ROOM;
    case -EMSGSIZE:
        return RINGCHAT_ERROR_TOO_LARGE;
    case -EINVAL:
        return RINGCHAT_ERROR_BAD_TEXT;
    default:
        return RINGCHAT_ERROR_INTERNAL;
    }
}

/* The next request that may be written: in its order, within the window, and
 * not before it is certain which rooms it is in. */
static struct errand *next_sayable(const struct dialogue *dialogue)
{
    const struct errands *errands = &dialogue->errands;
    struct errand *errand =
        errands_next(errands, dialogue->phase == PHASE_TALKING);

    if (!errand ||
        (dialogue->phase != PHASE_JOINING && dialogue->phase != PHASE_TALKING))
        return NULL;
    if (errands->moving > 0 &&
        (!errand_moves(errand) || errand->name.length == 0))
        return NULL;
    if (errand_is_awaited(errand) &&
        errands->sent.count >= dialogue->manner.unconfirmed_max)
        return NULL;
    return errand;
}

bool saying_can(const struct dialogue *dialogue)
{
    return !dialogue->blocked && next_sayable(dialogue);
}

/* Which room is left is certain: no change of rooms is under way. */
static void name_room_to_leave(const struct dialogue *dialogue,
                               struct errand *errand)
{
    const struct place *current = belonging_current(&dialogue->belonging);

    if (errand->kind == ERRAND_LEAVE && errand->name.length == 0 && current)
        errand->name = current->room;
}

static void say(struct dialogue *dialogue, struct errand *errand,
                uint64_t now_ns)
{
    bool text = dialogue->manner.dialect == RINGCHAT_TEXT;
    bool message = errand->kind <= ERRAND_TELL;
    int result;

    name_room_to_leave(dialogue, errand);
    result = text ? say_in_text(dialogue, errand, now_ns)
                  : say_with_id(dialogue, errand, now_ns);

    if (result == -EAGAIN)
        dialogue->blocked = true;
    else if (result == -ENOMEM)
        lose(dialogue, result, now_ns);
    else if (result < 0)
        errands_finish(&dialogue->errands, errand, -EPROTO, refusal(result));
    else
        dialogue->figures.messages_out += message;
}

void saying_go_on(struct dialogue *dialogue, uint64_t now_ns)
{
    struct errand *errand;

    while (!dialogue->blocked && (errand = next_sayable(dialogue)))
        say(dialogue, errand, now_ns);
}
