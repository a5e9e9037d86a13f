/*
 * Contents (content.h).
 */
#include "client/content.h"

#include <strings.h>

static bool is_text(struct ringchat_text type)
{
    const struct slice text = SLICE("text/");

    return type.length == 0 ||
           (type.length >= text.length &&
            strncasecmp(type.bytes, text.bytes, text.length) == 0);
}

struct slice content_text(const struct ringchat_message *message,
                          struct builder *described)
{
    struct ringchat_text type = message->content_type;

    if (is_text(type))
        return (struct slice){message->text.bytes, message->text.length};
    described->length = 0;
    build_slice(described, SLICE("sent "));
    build_slice(described, (struct slice){type.bytes, type.length});
    build_slice(described, SLICE(" ("));
    build_number(described, message->text.length);
    build_slice(described, SLICE(" bytes)"));
    return builder_slice(described);
}
