"""What each stage can do: the one table that all tests are generated from.

The table is strict. A test marked `capability("x")` must pass at a stage for
which x is True and must fail at one for which it is False: a stage that begins
to pass breaks the build until the table says so.
"""

STAGES = {
    1: "stage1-blocking",
    2: "stage2-framing",
    3: "stage3-epoll",
    4: "stage4-uring",
    5: "stage5-threads",
}

# A test of a dialect that a stage lacks cannot be asked of it, so it is not
# generated; that the stage refuses such a listener is.
DIALECTS = {
    1: ("text",),
    2: ("text", "frame", "secure"),
    3: ("text", "frame", "secure"),
    4: ("text", "frame", "secure"),
    5: ("text", "frame", "secure"),
}
ALL_DIALECTS = ("text", "frame", "secure")

# The option that bounds how long a reader may stall.
STALL_OPTION = {
    1: "--send-timeout",
    2: "--stall-timeout",
    3: "--stall-timeout",
    4: "--stall-timeout",
    5: "--stall-timeout",
}

# Those with several workers, and by what these may move bytes (`--io`).
ENGINES = {
    5: ("uring", "epoll"),
}

# How many clients at once a test may ask of it. One is one thread of stage 1,
# two of stage 2.
CROWD = {
    1: 500,
    2: 500,
    3: 10000,
    4: 10000,
    5: 10000,
}

CAPABILITIES = {
    # A member that does not read slows no other.
    "stalled_reader_harmless": {1: False, 2: True, 3: True, 4: True, 5: True},
    # A member too far behind is told how many messages it missed.
    "lag_is_told": {1: False, 2: True, 3: True, 4: True, 5: True},
    # A private message to one that does not read is refused, not waited for.
    "receiver_busy": {1: False, 2: True, 3: True, 4: True, 5: True},
    # An idle text client costs 400 bytes at most.
    "idle_costs_400_bytes": {
        1: False, 2: False, 3: True, 4: True, 5: True,
    },
    # A delivery costs a tenth of a system call at most.
    "calls_are_few": {3: False, 4: True, 5: True},
}
