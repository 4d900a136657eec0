/* attachment_make.c: a file by its bytes, mapped and not read into memory. Must never decode a picture: that is for a
 * process of its own, which may die of it. */
#include "hub/http/attachment_make.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- clean ---- */

struct writing {
    int file;
    EVP_MD_CTX *hash;
    int64_t size;
    int failed;
};

static bool write_piece(void *user, const void *bytes, size_t length) {
    struct writing *writing = user;
    const char *at = bytes;
    if (EVP_DigestUpdate(writing->hash, bytes, length) != 1) {
        writing->failed = ENOMEM;
        return false;
    }
    writing->size += (int64_t)length;
    while (length > 0) {
        ssize_t written = write(writing->file, at, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            writing->failed = errno;
            return false;
        }
        at += written;
        length -= (size_t)written;
    }
    return true;
}

static void hash_name(const unsigned char *hash, char name[static ATTACHMENT_NAME_MAX]) {
    for (size_t i = 0; i < (ATTACHMENT_NAME_MAX - 1) / 2; i++) {
        snprintf(name + 2 * i, 3, "%02x", hash[i]);
    }
}

static void make_clean(unsigned char *bytes, size_t length, const char *to, struct attachment_made *made) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    struct writing writing = {.file = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
                              .hash = EVP_MD_CTX_new()};
    if (writing.file < 0) {
        made->failed = errno;
    } else if (writing.hash == NULL || EVP_DigestInit_ex(writing.hash, EVP_sha256(), NULL) != 1 ||
               EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL) != 1) {
        made->failed = ENOMEM;
    } else {
        hash_name(hash, made->original);
        made->type = media_guess(bytes, length);
        made->flaw = media_strip(made->type, bytes, length, &made->facts, write_piece, &writing);
        made->failed = writing.failed;
        made->size = writing.size;
    }
    if (made->failed == 0 && made->flaw == NULL) {
        made->failed = EVP_DigestFinal_ex(writing.hash, hash, NULL) != 1 ? ENOMEM
                       : fsync(writing.file) != 0                        ? errno
                                                                         : 0;
        hash_name(hash, made->name);
    }
    if (writing.file >= 0) {
        close(writing.file);
    }
    EVP_MD_CTX_free(writing.hash);
}

void attachment_make(const char *from, const char *to, struct attachment_made *made) {
    struct stat about;
    int file = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *made = (struct attachment_made){0};
    if (file < 0 || fstat(file, &about) != 0 || about.st_size <= 0) {
        made->failed = file < 0 || errno != 0 ? errno : EIO;
    } else {
        size_t length = (size_t)about.st_size;
        /* Written to as memory alone: the file stays what was uploaded. */
        void *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED) {
            made->failed = errno;
        } else {
            make_clean(bytes, length, to, made);
            munmap(bytes, length);
        }
    }
    if (file >= 0) {
        close(file);
    }
}

/* ---- small ---- */

int thumbnail_start(uv_loop_t *loop, uv_process_t *process, const char *folder, const char *from, const char *to,
                    uv_exit_cb ended) {
    char output[ATTACHMENT_PATH_MAX + 32], temporary[ATTACHMENT_PATH_MAX + 16];
    /* Of address space and processor time enough for a photograph of 100 million pixels, and no more. */
    char *arguments[] = {
        "prlimit",       "--as=805306368", "--cpu=10", "--fsize=4194304", "--core=0", "--nofile=64",           "--",
        "vipsthumbnail", "--size",         "480x480>", "--output",        output,     (char *)(uintptr_t)from, NULL};
    /* No machine code of its own (the unit forbids that), and no loader that is not made for strangers' files. */
    char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                           "VIPS_BLOCK_UNTRUSTED=1",
                           "VIPS_CONCURRENCY=1",
                           "VIPS_NOVECTOR=1",
                           temporary,
                           NULL};
    uv_stdio_container_t none[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    const uv_process_options_t options = {
        .file = arguments[0], .args = arguments, .env = environment, .exit_cb = ended, .stdio = none, .stdio_count = 3};
    snprintf(output, sizeof output, "%s[Q=80,strip]", to);
    snprintf(temporary, sizeof temporary, "TMPDIR=%s", folder);
    return uv_spawn(loop, process, &options);
}
