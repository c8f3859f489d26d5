/*
 * Faults below the database: a disk that is full, read-only or dying, on command.
 *
 * A test compiles this file and starts the server with it in front of the C library:
 *
 *     cc -O2 -Wall -Wextra -shared -fPIC -o fault.so fault.c -ldl
 *     LD_PRELOAD=./fault.so STRONGROOM_FAULT_FILE=control strongroom serve ...
 *
 * It stands between SQLite and the kernel because only there a failing disk looks to SQLite as it
 * would in earnest: a mock above SQLite would test the mock. Linux with glibc only.
 *
 * The control file holds 16 bytes. Both sides map it shared, or the test writes single bytes with
 * pwrite, so a fault starts and ends at once and in the running process:
 *
 *     offset 0  u8   fault   0 none
 *                            1 ENOSPC on writes, and on a truncate that grows the file
 *                            2 EIO on fsync and fdatasync; the data may or may not be on disk
 *                            3 EIO on writes and truncates
 *                            4 EROFS on writes and truncates
 *                            5 torn: half of a write reaches the file, the rest and truncates
 *                              meet EIO
 *     offset 1  u8   files   0 every database file, 1 strongroom.db*, 2 keys.db*
 *     offset 2  u8   set to 1 by the shim when it is loaded: a test asserts it, or a fault that
 *                    never strikes would look like one that was survived
 *     offset 4  u32  faults injected so far, native byte order; a test asserts that it grew
 *
 * A database file is one whose path ends in .db, .db-wal or .db-journal. The shared memory file
 * (.db-shm) is mapped, not written, and everything else (logs, sockets) passes untouched.
 * Without STRONGROOM_FAULT_FILE the shim does nothing; with one it cannot map, it ends the process
 * with status 97, for the same reason as offset 2.
 */

#undef _FILE_OFFSET_BITS
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum fault { NONE = 0, FULL = 1, SYNC_FAILS = 2, WRITE_FAILS = 3, READ_ONLY = 4, TORN = 5 };
enum files { EVERY = 0, DATA_ONLY = 1, KEYS_ONLY = 2 };

struct control {
    volatile uint8_t fault;
    volatile uint8_t files;
    volatile uint8_t loaded;
    uint8_t unused_3;
    uint32_t injected;
    uint8_t unused_8[8];
};
_Static_assert(sizeof(struct control) == 16, "the tests write this layout");

static struct control *control;

/* The descriptor this thread has half written: the kernel reports a short write by its length and
 * the error only to the call that follows, which SQLite makes at once and on the same thread. */
static _Thread_local int torn_fd = -1;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_ftruncate64)(int, off64_t);

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "fault shim: the C library has no `%s`\n", name);
        _exit(97);
    }
    return found;
}

/* Any constructor that runs before ours may write, so each entry point asks for this first. */
static void resolve(void)
{
    if (__atomic_load_n(&real_ftruncate64, __ATOMIC_ACQUIRE) != NULL)
        return;
    real_write = next("write");
    real_pwrite = next("pwrite");
    real_pwrite64 = next("pwrite64");
    real_fsync = next("fsync");
    real_fdatasync = next("fdatasync");
    real_ftruncate = next("ftruncate");
    __atomic_store_n(&real_ftruncate64, next("ftruncate64"), __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void attach(void)
{
    resolve();
    const char *path = getenv("STRONGROOM_FAULT_FILE");
    if (path == NULL || *path == '\0')
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof *control) {
        fprintf(stderr, "fault shim: the control file must exist and hold 16 bytes\n");
        _exit(97);
    }
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        fprintf(stderr, "fault shim: cannot map the control file\n");
        _exit(97);
    }
    close(fd);
    control = mapped;
    control->loaded = 1;
}

static int ends_with(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static int is_target(int fd)
{
    char link[32];
    char path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    if (!ends_with(path, (size_t)length, ".db") && !ends_with(path, (size_t)length, ".db-wal")
        && !ends_with(path, (size_t)length, ".db-journal"))
        return 0;
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    switch (control->files) {
    case EVERY:
        return 1;
    case DATA_ONLY:
        return strncmp(name, "strongroom.db", strlen("strongroom.db")) == 0;
    case KEYS_ONLY:
        return strncmp(name, "keys.db", strlen("keys.db")) == 0;
    default:
        return 0;
    }
}

/* The fault that applies to this descriptor now. errno is kept: a call we let pass must not
 * change what its caller sees. */
static enum fault active(int fd)
{
    if (control == NULL || control->fault == NONE)
        return NONE;
    int saved = errno;
    enum fault fault = is_target(fd) ? (enum fault)control->fault : NONE;
    errno = saved;
    return fault;
}

static int strike(int error)
{
    __atomic_fetch_add(&control->injected, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return -1;
}

/* How many bytes of a write may pass: all, half (torn), or -1 with errno set. */
static ssize_t allowed(int fd, size_t count)
{
    switch (active(fd)) {
    case FULL:
        return strike(ENOSPC);
    case WRITE_FAILS:
        return strike(EIO);
    case READ_ONLY:
        return strike(EROFS);
    case TORN:
        if (torn_fd == fd || count < 2) {
            torn_fd = -1;
            return strike(EIO);
        }
        torn_fd = fd;
        __atomic_fetch_add(&control->injected, 1, __ATOMIC_SEQ_CST);
        return (ssize_t)(count / 2);
    default:
        torn_fd = -1;
        return (ssize_t)count;
    }
}

ssize_t write(int fd, const void *buffer, size_t count)
{
    resolve();
    ssize_t pass = allowed(fd, count);
    return pass < 0 ? -1 : real_write(fd, buffer, (size_t)pass);
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset)
{
    resolve();
    ssize_t pass = allowed(fd, count);
    return pass < 0 ? -1 : real_pwrite(fd, buffer, (size_t)pass, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset)
{
    resolve();
    ssize_t pass = allowed(fd, count);
    return pass < 0 ? -1 : real_pwrite64(fd, buffer, (size_t)pass, offset);
}

int fsync(int fd)
{
    resolve();
    return active(fd) == SYNC_FAILS ? strike(EIO) : real_fsync(fd);
}

int fdatasync(int fd)
{
    resolve();
    return active(fd) == SYNC_FAILS ? strike(EIO) : real_fdatasync(fd);
}

/* 0 where a truncate may pass, -1 with errno set where not. */
static int truncate_allowed(int fd, off64_t length)
{
    struct stat64 status;
    switch (active(fd)) {
    case FULL:
        if (fstat64(fd, &status) == 0 && length <= status.st_size)
            return 0;
        return strike(ENOSPC);
    case WRITE_FAILS:
    case TORN:
        return strike(EIO);
    case READ_ONLY:
        return strike(EROFS);
    default:
        return 0;
    }
}

int ftruncate(int fd, off_t length)
{
    resolve();
    return truncate_allowed(fd, length) < 0 ? -1 : real_ftruncate(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    resolve();
    return truncate_allowed(fd, length) < 0 ? -1 : real_ftruncate64(fd, length);
}
