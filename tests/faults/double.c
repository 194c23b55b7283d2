/* A disk that fails: preload it, and the call with the number $FAULT_AT of those that change files below $FAULT_BELOW fails
 * with the error $FAULT_ERROR, and so do all writes and syncs after it (a full or broken disk stays so).
 *
 *   cc -shared -fPIC double.c -o double.so -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int calls;

static int below(const char *path) {
    const char *folder = getenv("FAULT_BELOW");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int file_below(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fails(int counted) {
    const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERROR");
    if (!counted || !at || !error || ++calls < atoi(at)) return 0;
    errno = atoi(error);
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    return fails(file_below(file)) ? -1 : REAL(write)(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    return fails(file_below(file)) ? -1 : REAL(pwrite)(file, data, size, at);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    return fails(file_below(file)) ? -1 : REAL(writev)(file, parts, count);
}
int fsync(int file) { return fails(file_below(file)) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return fails(file_below(file)) ? -1 : REAL(fdatasync)(file); }
