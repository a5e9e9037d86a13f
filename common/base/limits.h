/*
 * Every bound of the server that no option names, in one place, and the
 * arithmetic that ties them together; and between what bounds the options may
 * choose. What an option names is in options.h.
 */
#ifndef RINGCHAT_BASE_LIMITS_H
#define RINGCHAT_BASE_LIMITS_H

#include <stdint.h>

#define KIB UINT32_C(1024)
#define MIB (KIB * KIB)

/* What an option may ask for at most, or has to at least. Each of the things
 * that we count has a descriptor, and these are int; a sum of two amounts of
 * memory cannot overflow; a SESSION_ACK must fit a frame: version, length and
 * nick (docs/protocol.md); clients are told of the heartbeat in a u16. */
#define COUNT_MAX INT32_MAX
#define LINE_BYTES_MAX MIB
#define FRAME_BYTES_LEAST (2 + NICK_BYTES_MAX)
#define MESSAGE_BYTES_MAX (32 * MIB)
#define MEMORY_BYTES_LEAST MIB
#define MEMORY_BYTES_MAX INT64_MAX
#define HEARTBEAT_S_MAX UINT16_MAX

/* Descriptors that are not connections: the standard ones, an epoll or a ring
 * and an event; for each listener its own and a spare one for refusing; and for
 * each of several workers an epoll or a ring, an event and a pipe. */
#define DESCRIPTORS_ALWAYS 5
#define DESCRIPTORS_PER_LISTENER 2
#define DESCRIPTORS_PER_WORKER 4

/* Names (docs/protocol.md, "Names"). */
#define NICK_BYTES_MAX 24
#define ROOM_NAME_BYTES_MAX 32

/* Messages of the binary dialects (docs/protocol.md): the body of a frame, what
 * its length can say; the headers and the content type of a secure message. */
#define FRAME_BODY_BYTES_MAX 65535
#define HEADERS_BYTES_MAX 4096
#define CONTENT_TYPE_BYTES_MAX 127

/* Heartbeats in a row without an answer; when one more is due, that is it. */
#define HEARTBEATS_UNANSWERED_MAX 3

/* The key of the `secure` listeners: no weaker than the HMAC-SHA256 that it is
 * for (RFC 2104, section 3), and of a size to be read at once. */
#define KEY_BYTES_MIN 32
#define KEY_BYTES_MAX 4096

/* A source address as --max-per-address counts it: IPv6, or IPv4 in it. */
#define ADDRESS_BYTES 16

/* A session's places: the rooms it is in, and those it has left whose last
 * messages it has not been sent yet. */
#define ROOMS_PER_SESSION_MAX 16
#define LEAVING_MAX 16
#define MEMBERSHIPS_MAX (ROOMS_PER_SESSION_MAX + LEAVING_MAX)

/* Threads that share a process's rooms: as many as a word has bits. */
#define WORKERS_MAX 64

/* Segments out of their lanes, and found to be held still, that are looked at
 * in a turn. */
#define RETIRED_HELD_MAX 64

/* What one call of session_receive may bring, and so what an inbox may hold: a
 * little less than a span, so that long messages that came together, and what
 * is put around them, go on in one. */
#define RECEIVE_BYTES_MAX (60 * KIB)

/* What is sent to one session at a time: what a segment of TCP holds over
 * loopback, whose MTU is 64 KiB, less 40 bytes of IPv6, 20 of TCP and 12 of
 * its timestamps. One byte more would make it two. */
#define SPAN_BYTES_MAX (64 * KIB - 72)

/* What the kernel takes from us for a TCP connection beyond what has been sent:
 * two spans. */
#define UNSENT_BYTES_MAX (128 * KIB)

/* A session with more unread replies than this is not read from. */
#define REPLIES_UNREAD_MAX (64 * KIB)

/* A session with more unread replies and private messages than this takes no
 * further private message: `receiver-busy`. */
#define PRIVATE_UNREAD_MAX (256 * KIB)

/* Lines that /who and /rooms list before "and N more". */
#define LIST_LINES_MAX 1000

/* Members of one room that are visited before other rooms have their turn. */
#define SWEEP_MEMBERS_MAX 64

/* How soon it is looked whether the others have been sent what was said, for
 * those sessions that wait for that. */
#define TURN_LOOK_NS UINT64_C(20000)

/* Sessions that have been told their last word, and linger, without a place
 * among --max-connections; one more keeps its place until it is gone. */
#define UNCOUNTED_SESSIONS_MAX 64

/* Sessions over the limit that are being told `server-full` at a time, with a
 * second of lingering each; one more is told so by its engine, and closed. */
#define REFUSED_SESSIONS_MAX 64

/* How long a closed session is still read from, so that no reset overtakes
 * the last word; and how long a last word that nobody takes is offered. */
#define LINGER_NS UINT64_C(1000000000)

/* How long a session that ends is offered what it is due at least, whatever
 * --drain-timeout says: so long an engine may take to come to it. */
#define LAST_OFFER_NS UINT64_C(20000000)

/* The largest lane record: far over the longest message with its room and
 * nick, far under what a segment's 32-bit offsets reach. */
#define RECORD_BYTES_MAX (64 * MIB)

/* How many connections there may be with so many descriptors. */
static inline uint64_t connections_within(uint64_t descriptors,
                                          uint64_t listeners, uint64_t workers)
{
    uint64_t reserved = DESCRIPTORS_ALWAYS +
                        DESCRIPTORS_PER_LISTENER * listeners +
                        DESCRIPTORS_PER_WORKER * workers;

    if (descriptors <= reserved)
        return 1;
    return descriptors - reserved < COUNT_MAX ? descriptors - reserved
                                              : COUNT_MAX;
}

_Static_assert(PRIVATE_UNREAD_MAX > REPLIES_UNREAD_MAX,
               "a session that is read from can be sent a private message");
_Static_assert(PRIVATE_UNREAD_MAX + UINT64_C(2) * RECORD_BYTES_MAX <=
                   UINT32_MAX,
               "an outbox counts in 32 bits what is unread, a private message "
               "and a reply");
_Static_assert(MEMBERSHIPS_MAX <= UINT8_MAX, "counted in a byte");

#endif
