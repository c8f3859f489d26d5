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
 * The control file holds 32 bytes. Both sides map it shared, or the test writes single bytes with
 * pwrite, so a fault starts and ends at once and in the running process:
 *
 *     offset 0  u8   fault   0 none
 *                            1 ENOSPC on writes, and on a truncate that grows the file
 *                            2 EIO on fsync and fdatasync; the data may or may not be on disk
 *                            3 EIO on writes and truncates
 *                            4 EROFS on writes and truncates
 *                            5 torn: half of a write reaches the file, the rest and truncates
 *                              meet EIO
 *                            6 quota: ENOSPC once the folder of the file would take more than the
 *                              quota; statvfs tells what is left of it
 *                            7 the same, and statvfs does not know of it
 *     offset 1  u8   files   0 every database file, 1 strongroom.db*, 2 keys.db*
 *     offset 2  u8   set to 1 by the shim when it is loaded: a test asserts it, or a fault that
 *                    never strikes would look like one that was survived
 *     offset 3  u8   1: a process that dies at a write (offset 8) has done half of it
 *     offset 4  u32  faults injected so far, native byte order; a test asserts that it grew
 *     offset 8  u32  while not 0: counts down at each step, and at the step that takes it to 0 the
 *                    process kills itself with SIGKILL. A step is a write, sync, truncate or
 *                    allocation of a file, a rename, a removal or a new folder; logs are none
 *     offset 12 u32  steps so far, whether or not they are counted down: a test sees how many an
 *                    act takes
 *     offset 16 u64  the quota in bytes
 *     offset 24 u8   1: what is sent over a socket is a step too, half of it where a write would be
 *
 * A database file is one whose path ends in .db, .db-wal or .db-journal; to the quota the reserve
 * beside them and the shared memory (.db-shm) count too. That is mapped and hardly ever written, so
 * no other fault strikes it, and everything else (logs, sockets) passes untouched by faults.
 * Without STRONGROOM_FAULT_FILE the shim does nothing; with one it cannot map, it ends the process
 * with status 97, for the same reason as offset 2.
 */

#undef _FILE_OFFSET_BITS
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault {
    NONE = 0,
    FULL = 1,
    SYNC_FAILS = 2,
    WRITE_FAILS = 3,
    READ_ONLY = 4,
    TORN = 5,
    QUOTA = 6,
    HIDDEN_QUOTA = 7
};
enum files { EVERY = 0, DATA_ONLY = 1, KEYS_ONLY = 2 };

struct control {
    volatile uint8_t fault;
    volatile uint8_t files;
    volatile uint8_t loaded;
    volatile uint8_t dies_torn;
    uint32_t injected;
    uint32_t dies_in;
    uint32_t steps;
    volatile uint64_t quota;
    volatile uint8_t sends_are_steps;
    uint8_t unused_25[7];
};
_Static_assert(sizeof(struct control) == 32, "the tests write this layout");

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
static int (*real_fallocate64)(int, int, off64_t, off64_t);
static int (*real_statvfs64)(const char *, struct statvfs64 *);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_mkdir)(const char *, mode_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_writev)(int, const struct iovec *, int);
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
    real_fallocate64 = next("fallocate64");
    real_statvfs64 = next("statvfs64");
    real_rename = next("rename");
    real_unlink = next("unlink");
    real_unlinkat = next("unlinkat");
    real_mkdir = next("mkdir");
    real_send = next("send");
    real_writev = next("writev");
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
        fprintf(stderr, "fault shim: the control file must exist and hold 32 bytes\n");
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

/* The path of an open file, its length, or 0 where it has none. */
static ssize_t path_of(int fd, char path[PATH_MAX])
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0 || path[0] != '/')
        return 0;
    path[length] = '\0';
    return length;
}

static int is_quota(void)
{
    return control->fault == QUOTA || control->fault == HIDDEN_QUOTA;
}

static int is_target(int fd)
{
    char path[PATH_MAX];
    ssize_t length = path_of(fd, path);
    if (length <= 0)
        return 0;
    if (is_quota()
        && (ends_with(path, (size_t)length, "/reserve")
            || ends_with(path, (size_t)length, ".db-shm")))
        return 1;
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

/* Counts a step; 1 where the process is to die at it. */
static int is_the_last(void)
{
    __atomic_fetch_add(&control->steps, 1, __ATOMIC_SEQ_CST);
    uint32_t left = __atomic_load_n(&control->dies_in, __ATOMIC_SEQ_CST);
    while (left != 0
        && !__atomic_compare_exchange_n(
            &control->dies_in, &left, left - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    return left == 1;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* One step of the process. Whoever is to die at it dies here, after half of a write where it is so
 * told: what the disk holds then is what a power cut leaves. */
static void step(int fd, const void *buffer, size_t count, off64_t offset)
{
    if (control == NULL)
        return;
    int saved = errno;
    if (fd >= 0) {
        char path[PATH_MAX];
        struct stat64 status;
        ssize_t length = path_of(fd, path);
        if (length <= 0 || ends_with(path, (size_t)length, ".log") || fstat64(fd, &status) != 0
            || !S_ISREG(status.st_mode)) {
            errno = saved;
            return;
        }
    }
    if (is_the_last()) {
        if (control->dies_torn && buffer != NULL && count > 1) {
            if (offset >= 0)
                (void)!real_pwrite64(fd, buffer, count / 2, offset);
            else
                (void)!real_write(fd, buffer, count / 2);
        }
        die();
    }
    errno = saved;
}

/* The same for what is sent: a server sees half a message, and then that nobody is there. */
static void step_of_send(int fd, const void *buffer, size_t count)
{
    struct stat64 status;
    if (control == NULL || !control->sends_are_steps)
        return;
    int saved = errno;
    if (fstat64(fd, &status) == 0 && S_ISSOCK(status.st_mode) && is_the_last()) {
        if (control->dies_torn && count > 1)
            (void)!real_send(fd, buffer, count / 2, MSG_NOSIGNAL);
        die();
    }
    errno = saved;
}

/* What the files of a folder take on the disk. */
static uint64_t used(const char *folder)
{
    uint64_t sum = 0;
    DIR *open = opendir(folder);
    if (open == NULL)
        return 0;
    struct dirent *entry;
    while ((entry = readdir(open)) != NULL) {
        struct stat64 status;
        if (fstatat64(dirfd(open), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0
            && S_ISREG(status.st_mode))
            sum += (uint64_t)status.st_blocks * 512;
    }
    closedir(open);
    return sum;
}

/* Whether the file may reach so far; what it has on the disk already costs nothing. */
static int fits(int fd, off64_t end)
{
    char path[PATH_MAX];
    struct stat64 status;
    if (path_of(fd, path) <= 0 || fstat64(fd, &status) != 0)
        return 1;
    uint64_t wanted = ((uint64_t)end + 4095) / 4096 * 4096;
    uint64_t has = (uint64_t)status.st_blocks * 512;
    if (wanted <= has)
        return 1;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    return used(path) + (wanted - has) <= control->quota;
}

/* How many bytes of a write may pass: all, half (torn), or -1 with errno set. */
static ssize_t allowed(int fd, size_t count, off64_t offset)
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
    case QUOTA:
    case HIDDEN_QUOTA: {
        off64_t from = offset >= 0 ? offset : lseek64(fd, 0, SEEK_CUR);
        return fits(fd, from + (off64_t)count) ? (ssize_t)count : strike(ENOSPC);
    }
    default:
        torn_fd = -1;
        return (ssize_t)count;
    }
}

ssize_t write(int fd, const void *buffer, size_t count)
{
    resolve();
    step(fd, buffer, count, -1);
    ssize_t pass = allowed(fd, count, -1);
    return pass < 0 ? -1 : real_write(fd, buffer, (size_t)pass);
}

ssize_t send(int fd, const void *buffer, size_t count, int flags)
{
    resolve();
    step_of_send(fd, buffer, count);
    return real_send(fd, buffer, count, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    resolve();
    if (count > 0)
        step_of_send(fd, parts[0].iov_base, parts[0].iov_len);
    return real_writev(fd, parts, count);
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset)
{
    resolve();
    step(fd, buffer, count, offset);
    ssize_t pass = allowed(fd, count, offset);
    return pass < 0 ? -1 : real_pwrite(fd, buffer, (size_t)pass, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset)
{
    resolve();
    step(fd, buffer, count, offset);
    ssize_t pass = allowed(fd, count, offset);
    return pass < 0 ? -1 : real_pwrite64(fd, buffer, (size_t)pass, offset);
}

int fsync(int fd)
{
    resolve();
    step(fd, NULL, 0, -1);
    return active(fd) == SYNC_FAILS ? strike(EIO) : real_fsync(fd);
}

int fdatasync(int fd)
{
    resolve();
    step(fd, NULL, 0, -1);
    return active(fd) == SYNC_FAILS ? strike(EIO) : real_fdatasync(fd);
}

/* 0 where a truncate may pass, -1 with errno set where not. */
static int truncate_allowed(int fd, off64_t length)
{
    struct stat64 status;
    step(fd, NULL, 0, -1);
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

/* 0 where blocks may be given, -1 with errno set where not. */
static int allocation_allowed(int fd, off64_t offset, off64_t length)
{
    step(fd, NULL, 0, -1);
    switch (active(fd)) {
    case QUOTA:
    case HIDDEN_QUOTA:
        return fits(fd, offset + length) ? 0 : strike(ENOSPC);
    default:
        return 0;
    }
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    resolve();
    return allocation_allowed(fd, offset, length) < 0 ? -1
                                                      : real_fallocate64(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    resolve();
    return allocation_allowed(fd, offset, length) < 0 ? -1
                                                      : real_fallocate64(fd, mode, offset, length);
}

int statvfs64(const char *path, struct statvfs64 *into)
{
    resolve();
    int status = real_statvfs64(path, into);
    if (status == 0 && control != NULL && control->fault == QUOTA) {
        char folder[PATH_MAX];
        struct stat64 facts;
        snprintf(folder, sizeof folder, "%s", path);
        char *slash = strrchr(folder, '/');
        if (stat64(path, &facts) == 0 && !S_ISDIR(facts.st_mode) && slash != NULL)
            *slash = '\0';
        uint64_t taken = used(folder);
        uint64_t left = taken < control->quota ? control->quota - taken : 0;
        into->f_bavail = left / into->f_frsize;
    }
    return status;
}

/* The same call by its other name: both structures are one on the 64-bit systems we test on. */
_Static_assert(sizeof(struct statvfs) == sizeof(struct statvfs64), "one structure");
int statvfs(const char *path, struct statvfs *into)
{
    return statvfs64(path, (struct statvfs64 *)into);
}

int rename(const char *from, const char *to)
{
    resolve();
    step(-1, NULL, 0, -1);
    return real_rename(from, to);
}

int unlink(const char *path)
{
    resolve();
    step(-1, NULL, 0, -1);
    return real_unlink(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    resolve();
    step(-1, NULL, 0, -1);
    return real_unlinkat(folder, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    resolve();
    step(-1, NULL, 0, -1);
    return real_mkdir(path, mode);
}
