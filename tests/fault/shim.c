/* Stands between a process and the C library: writes down, in order, what arrives and leaves on sockets and what is synced
 * to disk, and fails one write or sync when asked to.
 *
 * FAULT_LOG   file of lines "EVENT fd text", appended in the order in which things happened
 * FAULT_FILE  holds the name of one fault; the call that it strikes removes the file
 *             sync-eio, write-eio, write-enospc: on files whose name ends with FAULT_ON
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))next_of(#name))
#define MARK "order-"

static void *next_of(const char *name) { return dlsym(RTLD_NEXT, name); }

static void note(const char *event, int fd, const char *text, int length) {
    static int log = -1;
    char line[160];
    int saved = errno;
    if (log < 0) {
        const char *path = getenv("FAULT_LOG");
        if (path == NULL) return;
        log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log < 0) return;
    }
    int size = snprintf(line, sizeof line, "%s %d %d %.*s\n", event, (int)getpid(), fd, length, text);
    syscall(SYS_write, log, line, size);
    errno = saved;
}

static int is_socket(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}

/* Whether the file's name ends with FAULT_ON. */
static int is_watched(int fd) {
    char link[40], name[512];
    const char *wanted = getenv("FAULT_ON");
    if (wanted == NULL) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, name, sizeof name - 1);
    if (size < (ssize_t)strlen(wanted)) return 0;
    name[size] = 0;
    return strcmp(name + size - strlen(wanted), wanted) == 0;
}

/* Whether the fault is asked for; it then happens once. */
static int strikes(const char *fault) {
    const char *path = getenv("FAULT_FILE");
    char found[32] = "";
    if (path == NULL || access(path, F_OK) != 0) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t size = syscall(SYS_read, fd, found, sizeof found - 1);
    close(fd);
    if (size < 0 || strncmp(found, fault, strlen(fault)) != 0) return 0;
    return unlink(path) == 0;
}

/* Notes every mark ("order-" and six characters) in the bytes. */
static void note_marks(const char *event, int fd, const void *bytes, size_t size) {
    const char *at = bytes, *end = at + size;
    while ((at = memmem(at, end - at, MARK, strlen(MARK))) != NULL) {
        if (end - at >= 12) note(event, fd, at, 12);
        at += strlen(MARK);
    }
}

int fsync(int fd) {
    if (!is_watched(fd)) return REAL(fsync)(fd);
    if (strikes("sync-eio")) { note("fault", fd, "sync", 4); errno = EIO; return -1; }
    note("sync-begins", fd, "", 0);
    int result = REAL(fsync)(fd);
    note(result == 0 ? "sync-ends" : "sync-fails", fd, "", 0);
    return result;
}

int fdatasync(int fd) {
    if (!is_watched(fd)) return REAL(fdatasync)(fd);
    if (strikes("sync-eio")) { note("fault", fd, "sync", 4); errno = EIO; return -1; }
    note("sync-begins", fd, "", 0);
    int result = REAL(fdatasync)(fd);
    note(result == 0 ? "sync-ends" : "sync-fails", fd, "", 0);
    return result;
}

static int write_fails(int fd, const void *bytes, size_t size) {
    if (!is_watched(fd)) return 0;
    if (strikes("write-eio")) { note("fault", fd, "write", 5); errno = EIO; return 1; }
    if (strikes("write-enospc")) { note("fault", fd, "full", 4); errno = ENOSPC; return 1; }
    note_marks("written", fd, bytes, size);
    return 0;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    return write_fails(fd, bytes, size) ? -1 : REAL(pwrite)(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    return write_fails(fd, bytes, size) ? -1 : REAL(pwrite64)(fd, bytes, size, at);
}

/* What leaves: noted before it does. */
ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    note("sent", fd, "", 0);
    return REAL(send)(fd, bytes, size, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    note("sent", fd, "", 0);
    return REAL(sendto)(fd, bytes, size, flags, to, length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    note("sent", fd, "", 0);
    return REAL(sendmsg)(fd, message, flags);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (is_socket(fd)) note("sent", fd, "", 0);
    return REAL(write)(fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_socket(fd)) note("sent", fd, "", 0);
    return REAL(writev)(fd, parts, count);
}

/* What arrives: noted after it did. */
ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    ssize_t got = REAL(recv)(fd, bytes, size, flags);
    if (got > 0 && !(flags & MSG_PEEK)) note_marks("arrived", fd, bytes, got);
    return got;
}

ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, struct sockaddr *from, socklen_t *length) {
    ssize_t got = REAL(recvfrom)(fd, bytes, size, flags, from, length);
    if (got > 0 && !(flags & MSG_PEEK)) note_marks("arrived", fd, bytes, got);
    return got;
}

ssize_t read(int fd, void *bytes, size_t size) {
    ssize_t got = REAL(read)(fd, bytes, size);
    if (got > 0 && is_socket(fd)) note_marks("arrived", fd, bytes, got);
    return got;
}

ssize_t readv(int fd, const struct iovec *parts, int count) {
    ssize_t got = REAL(readv)(fd, parts, count), left = got;
    if (got > 0 && is_socket(fd))
        for (int i = 0; i < count && left > 0; left -= parts[i++].iov_len)
            note_marks("arrived", fd, parts[i].iov_base, left < (ssize_t)parts[i].iov_len ? (size_t)left : parts[i].iov_len);
    return got;
}
