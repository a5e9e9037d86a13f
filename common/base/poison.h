/*
 * Marks memory that is ours but must not be touched (a free object in a pool),
 * so that AddressSanitizer reports a use after free there as it does for
 * malloc. Without the sanitizer it is nothing. See
 * sanitizer/asan_interface.h.
 */
#ifndef RINGCHAT_BASE_POISON_H
#define RINGCHAT_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define RINGCHAT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RINGCHAT_ASAN 1
#endif
#endif

#ifdef RINGCHAT_ASAN
#include <sanitizer/asan_interface.h>
#define poison(bytes, length) ASAN_POISON_MEMORY_REGION(bytes, length)
#define unpoison(bytes, length) ASAN_UNPOISON_MEMORY_REGION(bytes, length)
#else
#define poison(bytes, length) ((void)(bytes), (void)(length))
#define unpoison(bytes, length) ((void)(bytes), (void)(length))
#endif

#endif
