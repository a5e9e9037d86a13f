"""libringchat as others get it: installed, found by pkg-config, linked as it is
or into the program, in C and C++, and loaded at run time.  Names of its own are
nobody's to clash with."""

import ctypes
import fcntl
import os
import re
import subprocess
from pathlib import Path

import pytest

# Of a variant that has to be built first.
INSTALL_SECONDS = 600

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)
REPOSITORY = Path(__file__).resolve().parents[2]

# What docs/integration.md shows.
PAGE = REPOSITORY / "docs/integration.md"
BLOCKS = re.findall(r"^```c\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)

# A name that the library has inside, too, and a codec that is used.
PROGRAM = """
#include <ringchat/client.h>
#include <ringchat/server.h>

#include <stdio.h>

int log_event(void);

int log_event(void)
{
    return 17;
}

int main(void)
{
    struct ringchat_codec_config config = {sizeof(config)};
    struct ringchat_message message = {sizeof(message)};
    struct ringchat_codec *codec;
    char line[16];
    ptrdiff_t length;

    config.role = RINGCHAT_CLIENT;
    if (ringchat_codec_create(&codec, &config) < 0)
        return 1;
    message.kind = RINGCHAT_MESSAGE;
    message.text.bytes = "hello";
    message.text.length = 5;
    length = ringchat_encode(codec, &message, line, sizeof(line));
    ringchat_codec_destroy(codec);
    return printf("%d %x %.*s", log_event(), (unsigned)ringchat_version(),
                  (int)length, line) < 0;
}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Where it has been installed: the default variant, whichever is tested. Two
    makes at a time would write to the same files."""
    folder = tmp_path_factory.mktemp("root")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    with open(REPOSITORY / "Makefile") as makefile:
        fcntl.flock(makefile, fcntl.LOCK_EX)
        subprocess.run(
            ["make", "-s", "install", "MODE=release", "CC=gcc", "SANITIZE=", "FAULTS=",
             f"DESTDIR={folder}", "PREFIX=/usr", "LIBDIR=/usr/lib/here"],
            cwd=REPOSITORY, env=environment, check=True, timeout=INSTALL_SECONDS,
        )
    return folder


def flags(root, *options):
    """What pkg-config says, as somebody who builds for another root asks it."""
    environment = {
        **os.environ,
        "PKG_CONFIG_SYSROOT_DIR": str(root),
        "PKG_CONFIG_PATH": str(root / "usr/lib/here/pkgconfig"),
    }
    said = subprocess.run(
        ["pkg-config", *options, "ringchat"],
        env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )
    return said.stdout.split()


def build(root, folder, language, *options):
    source = folder / f"program.{language}"
    source.write_text(PROGRAM)
    program = folder / "program"
    subprocess.run(
        [{"c": "gcc", "cc": "g++"}[language], "-Wall", "-Werror",
         "-o", program, source, *flags(root, "--cflags", "--libs", *options)],
        check=True, timeout=60,
    )
    return program


def run(program, **environment):
    ran = subprocess.run(
        [program], env={**os.environ, **environment},
        check=True, stdout=subprocess.PIPE, text=True, timeout=60,
    )
    return ran.stdout


@pytest.mark.parametrize("language", ["c", "cc"])
def test_shared(root, tmp_path, language):
    program = build(root, tmp_path, language)
    needed = subprocess.run(
        ["readelf", "-d", program], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    assert "[libringchat.so.0]" in needed
    assert run(program, LD_LIBRARY_PATH=str(root / "usr/lib/here")) == "17 100 hello\n"


@pytest.mark.parametrize("language", ["c", "cc"])
def test_static(root, tmp_path, language):
    (root / "usr/lib/here/libringchat.so").rename(tmp_path / "away")
    try:
        program = build(root, tmp_path, language, "--static")
    finally:
        (tmp_path / "away").rename(root / "usr/lib/here/libringchat.so")
    assert run(program) == "17 100 hello\n"


def test_loaded_at_run_time(root):
    library = ctypes.CDLL(str(root / "usr/lib/here/libringchat.so.0"))
    assert library.ringchat_version() == 0x100
    assert not hasattr(library, "wire_create")


def test_version(root):
    assert flags(root, "--modversion") == ["0.1.0"]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
@pytest.mark.parametrize("library", ["shared", "static"])
def test_page(root, tmp_path, library, block):
    """Each one: "Each C block below is a file that compiles as it stands." It links, too:
    one that is no program gets a main."""
    (tmp_path / "block.c").write_text(block)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    sources = ["block.c"] if "int main(" in block else ["block.c", "main.c"]
    libraries = flags(root, "--cflags", "--libs")
    if library == "static":
        archive = root / "usr/lib/here/libringchat.a"
        libraries = [archive if flag == "-lringchat" else flag
                     for flag in flags(root, "--cflags", "--libs", "--static")]
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", *sources, *libraries],
        cwd=tmp_path, check=True, timeout=60,
    )


def test_page_has_blocks():
    """Each part of the library is shown."""
    for part in ["client", "server", "protocol"]:
        assert any(f"#include <ringchat/{part}.h>" in block for block in BLOCKS)
