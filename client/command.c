/*
 * The few commands that a client has to understand. Words are in lower case, as
 * the server's are (docs/protocol.md, "Commands").
 */
#include "client/command.h"

const char *const command_names[] = {
    "clear",      "close", "echo",  "help", "join",   "leave",
    "metrics",    "msg",   "nick",  "ping", "quit",   "rooms",
    "throughput", "time",  "topic", "who",  "window", NULL,
};

const char *const command_helps[] = {
    "/window ROOM — show it, or its number; also Alt-1 to Alt-9",
    "/msg NICK — open a private conversation",
    "/close — close the private conversation that is shown",
    "/clear — forget the lines that are shown",
    NULL,
};

static struct slice without(struct slice text, size_t bytes)
{
    return (struct slice){text.bytes + bytes, text.length - bytes};
}

static struct slice without_spaces(struct slice text)
{
    while (text.length > 0 && text.bytes[0] == ' ')
        text = without(text, 1);
    while (text.length > 0 && text.bytes[text.length - 1] == ' ')
        text.length--;
    return text;
}

/* Takes the first word of `text`, and the one space behind it. */
static struct slice next_word(struct slice *text)
{
    struct slice word = {text->bytes, 0};

    while (word.length < text->length && text->bytes[word.length] != ' ')
        word.length++;
    *text = without(*text, word.length + (word.length < text->length));
    return word;
}

/* "NICK TEXT": a name between any number of spaces, one of which is not of the
 * text. */
static struct input private_parse(struct slice rest)
{
    struct input input = {.kind = INPUT_QUERY};

    while (rest.length > 0 && rest.bytes[0] == ' ')
        rest = without(rest, 1);
    input.name = next_word(&rest);
    input.text = rest;
    if (without_spaces(rest).length > 0)
        input.kind = INPUT_PRIVATE;
    else if (input.name.length == 0)
        input.kind = INPUT_PASS; /* the server says how it is used */
    return input;
}

static struct input command_parse(struct slice command)
{
    static const struct {
        const char *word;
        enum input_kind kind;
        bool named; /* it has no effect of ours without a name */
    } ours[] = {
        {"join", INPUT_JOIN, true},     {"leave", INPUT_LEAVE, false},
        {"who", INPUT_WHO, false},      {"topic", INPUT_TOPIC, false},
        {"window", INPUT_WINDOW, true}, {"close", INPUT_CLOSE, false},
        {"clear", INPUT_CLEAR, false},  {"help", INPUT_HELP, false},
        {"quit", INPUT_QUIT, false},
    };
    struct input input = {.kind = INPUT_PASS, .text = command};
    struct slice rest = command, word = next_word(&rest);

    if (slice_equals(word, SLICE("msg"))) {
        input = private_parse(rest);
        if (input.kind == INPUT_PASS)
            input.text = command;
        return input;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
        if (!slice_equals(word, slice_of(ours[i].word)))
            continue;
        input.name = without_spaces(rest);
        if (input.name.length > 0 || !ours[i].named)
            input.kind = ours[i].kind;
    }
    return input;
}

struct input input_parse(struct slice line)
{
    struct slice bare = without_spaces(line);

    if (bare.length == 0)
        return (struct input){.kind = INPUT_NOTHING};
    if (slice_equals(bare, SLICE("exit")))
        return (struct input){.kind = INPUT_QUIT};
    if (line.bytes[0] != '/')
        return (struct input){.kind = INPUT_MESSAGE, .text = line};
    line = without(line, 1);
    if (line.length > 0 && line.bytes[0] == '/')
        return (struct input){.kind = INPUT_MESSAGE, .text = line};
    return command_parse(line);
}
