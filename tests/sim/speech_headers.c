/*
 * The JSON headers of what the server sends (RFC 8259): one flat object, in any
 * order and with any spaces, strictly. Whatever else it is breaks the promise
 * "secure form".
 */
#include "tests/sim/promise.h"
#include "tests/sim/speech_internal.h"

#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

/* What is left to be read. */
struct json {
    const char *at, *end;
};

enum form { FORM_STRING, FORM_NUMBER, FORM_FLAG };

/* In the order of enum field. */
static const struct field_line {
    struct slice name;
    enum form form;
} field_lines[FIELDS] = {
    [FIELD_SESSION] = {{"session", 7}, FORM_STRING},
    [FIELD_SEQ] = {{"seq", 3}, FORM_NUMBER},
    [FIELD_BOOT] = {{"boot", 4}, FORM_STRING},
    [FIELD_HEARTBEAT] = {{"heartbeat", 9}, FORM_NUMBER},
    [FIELD_MAX_CONTENT] = {{"max_content", 11}, FORM_NUMBER},
    [FIELD_NICK] = {{"nick", 4}, FORM_STRING},
    [FIELD_ROOM] = {{"room", 4}, FORM_STRING},
    [FIELD_ROOM_SEQ] = {{"room_seq", 8}, FORM_NUMBER},
    [FIELD_KIND] = {{"kind", 4}, FORM_STRING},
    [FIELD_STAMP] = {{"stamp", 5}, FORM_NUMBER},
    [FIELD_TIME] = {{"time", 4}, FORM_NUMBER},
    [FIELD_CONTENT_TYPE] = {{"content_type", 12}, FORM_STRING},
    [FIELD_CODE] = {{"code", 4}, FORM_NUMBER},
    [FIELD_NAME] = {{"name", 4}, FORM_STRING},
    [FIELD_ID] = {{"id", 2}, FORM_NUMBER},
    [FIELD_MORE] = {{"more", 4}, FORM_FLAG},
    [FIELD_ENC] = {{"enc", 3}, FORM_STRING},
    [FIELD_IV] = {{"iv", 2}, FORM_STRING},
};

/* ---- Tokens ------------------------------------------------------------- */

static _Noreturn void malformed(const struct json *json, const char *what)
{
    promise_broken("secure form", "headers: %s, %zu bytes before their end",
                   what, (size_t)(json->end - json->at));
}

static void skip_space(struct json *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' ||
                                    *json->at == '\n' || *json->at == '\r'))
        json->at++;
}

/* Whether that comes next, which is then taken. */
static bool take(struct json *json, char c)
{
    skip_space(json);
    if (json->at == json->end || *json->at != c)
        return false;
    json->at++;
    return true;
}

static void expect(struct json *json, char c)
{
    if (!take(json, c))
        malformed(json, "not JSON");
}

static bool take_word(struct json *json, const char *word)
{
    size_t length = strlen(word);

    skip_space(json);
    if ((size_t)(json->end - json->at) < length ||
        memcmp(json->at, word, length) != 0)
        return false;
    json->at += length;
    return true;
}

static bool read_flag(struct json *json)
{
    if (take_word(json, "true"))
        return true;
    if (!take_word(json, "false"))
        malformed(json, "no boolean");
    return false;
}

static uint64_t read_number(struct json *json)
{
    struct slice digits;
    uint64_t number;

    skip_space(json);
    digits = (struct slice){json->at, 0};
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    digits.length = (size_t)(json->at - digits.bytes);
    if (!decimal_read(digits, &number) || number > NUMBER_MAX)
        malformed(json, "no integer from 0 to 2^53-1");
    return number;
}

/* ---- Strings ------------------------------------------------------------ */

/* Strings with escapes, as they are without. */
static struct {
    size_t length;
    char bytes[HEADERS_BYTES_MAX];
} plain;

static void plain_put(unsigned byte)
{
    /* No escape is shorter than what it stands for. */
    assert(plain.length < sizeof(plain.bytes));
    plain.bytes[plain.length++] = (char)byte;
}

static void plain_put_character(uint32_t c)
{
    if (c < 0x80) {
        plain_put(c);
        return;
    }
    if (c < 0x800) {
        plain_put(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            plain_put(0xe0 | c >> 12);
        } else {
            plain_put(0xf0 | c >> 18);
            plain_put(0x80 | (c >> 12 & 0x3f));
        }
        plain_put(0x80 | (c >> 6 & 0x3f));
    }
    plain_put(0x80 | (c & 0x3f));
}

static char next(struct json *json)
{
    if (json->at == json->end)
        malformed(json, "a string without an end");
    return *json->at++;
}

static uint32_t read_hex4(struct json *json)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        size_t digit = strcspn(digits, (char[]){next(json), '\0'});

        if (digits[digit] == '\0')
            malformed(json, "no four digits after \\u");
        value = value << 4 | (digit & 15);
    }
    return value;
}

/* What follows \u; two of them may be one character (RFC 8259, section 7). */
static uint32_t read_unicode(struct json *json)
{
    uint32_t high = read_hex4(json), low;

    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || next(json) != '\\' || next(json) != 'u')
        malformed(json, "half a surrogate pair");
    low = read_hex4(json);
    if (low < 0xdc00 || low > 0xdfff)
        malformed(json, "half a surrogate pair");
    return 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
}

static void read_escape(struct json *json)
{
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    char c = next(json);
    const char *name = c ? strchr(names, c) : NULL;

    if (c == 'u')
        plain_put_character(read_unicode(json));
    else if (name)
        plain_put((unsigned char)means[name - names]);
    else
        malformed(json, "no such escape");
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ';
}

/* A string that is not all plain: `start` is where it begins. */
static struct slice read_escaped(struct json *json, const char *start)
{
    struct slice string = {plain.bytes + plain.length, 0};
    size_t before = plain.length;
    char c;

    json->at = start;
    while ((c = next(json)) != '"') {
        if (c == '\\')
            read_escape(json);
        else if (is_control(c))
            malformed(json, "a raw control character");
        else
            plain_put((unsigned char)c);
    }
    string.length = plain.length - before;
    return string;
}

/* Most strings stand in the JSON text as they are. */
static struct slice read_string(struct json *json)
{
    struct slice string;
    const char *start;

    expect(json, '"');
    start = json->at;
    while (json->at < json->end && *json->at != '"' && *json->at != '\\' &&
           !is_control(*json->at))
        json->at++;
    string = (struct slice){start, (size_t)(json->at - start)};
    if (next(json) != '"')
        string = read_escaped(json, start);
    check_clean(string);
    return string;
}

/* ---- Fields ------------------------------------------------------------- */

static enum field field_named(const struct json *json, struct slice name)
{
    enum field field = 0;

    while (!slice_equals(field_lines[field].name, name)) {
        if (++field == FIELDS)
            malformed(json, "a header that is not the contract's");
    }
    return field;
}

static void read_field(struct json *json, struct headers *headers)
{
    enum field field = field_named(json, read_string(json));

    if (headers->present & 1u << field)
        malformed(json, "a header twice");
    headers->present |= 1u << field;
    expect(json, ':');
    skip_space(json);
    switch (field_lines[field].form) {
    case FORM_STRING:
        headers->strings[field] = read_string(json);
        break;
    case FORM_NUMBER:
        headers->numbers[field] = read_number(json);
        break;
    case FORM_FLAG:
        headers->numbers[field] = read_flag(json);
        break;
    }
}

void headers_read(struct slice text, struct headers *headers)
{
    struct json json = {text.bytes, text.bytes + text.length};

    if (text.length > HEADERS_BYTES_MAX)
        malformed(&json, "too long");
    headers->present = 0;
    plain.length = 0;
    expect(&json, '{');
    if (!take(&json, '}')) {
        do
            read_field(&json, headers);
        while (take(&json, ','));
        expect(&json, '}');
    }
    skip_space(&json);
    if (json.at != json.end)
        malformed(&json, "something after the object");
}
