/*
 * What docs/protocol.md and RFC 3629 say about text, as plainly as they say it:
 * what the tests compare the code with.
 */
#ifndef RINGCHAT_UNIT_SUPPORT_TEXT_H
#define RINGCHAT_UNIT_SUPPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 without control characters but tab. */
bool is_clean_text(const unsigned char *, size_t length);

/* Neither a control other than tab, CR and LF, nor a byte that no character of
 * UTF-8 begins with. */
bool may_begin_stream(unsigned char);

#endif
