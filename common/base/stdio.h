/*
 * The standard descriptors, which whoever starts a program may have closed:
 * the next file or socket that it opened would get such a number, and whatever
 * writes to standard error (the log, a sanitizer) would write to that.
 */
#ifndef RINGCHAT_BASE_STDIO_H
#define RINGCHAT_BASE_STDIO_H

/*
 * Opens /dev/null at each of the descriptors 0, 1 and 2 that is closed; those
 * that are open stay as they are. Call it before anything opens a descriptor,
 * and before the first thread starts. Returns 0 or -errno.
 */
int stdio_reserve(void);

#endif
