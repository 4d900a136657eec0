/* migration_file.c: reads the build's SQL files and their checksums. Does not know a database. */
#include "hub/migrate/migration_file.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"

enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };

int migration_checksum(const void *bytes, size_t length, char checksum[CHECKSUM_TEXT]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(bytes, length, digest, &size, EVP_sha256(), NULL) != 1) {
        command_fail("OpenSSL cannot compute a SHA-256");
        return CH_EIO;
    }
    for (unsigned int i = 0; i < size; i++) {
        snprintf(checksum + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    return 0;
}

static int read_whole(const char *path, char **text, size_t *length) {
    FILE *file = fopen(path, "re");
    struct stat facts;
    int code = 0;
    if (file == NULL || fstat(fileno(file), &facts) != 0) {
        command_fail("%s: %s", path, strerror(errno));
        code = CH_EIO;
    } else if (facts.st_size > FILE_BYTES_MAX) {
        command_fail("%s: has %lld bytes, at most %d are read", path, (long long)facts.st_size, FILE_BYTES_MAX);
        code = CH_EINVAL;
    } else if ((*text = malloc((size_t)facts.st_size + 1)) == NULL) {
        command_fail("out of memory");
        code = CH_EMEMORY;
    } else {
        *length = fread(*text, 1, (size_t)facts.st_size, file);
        (*text)[*length] = '\0';
        if (ferror(file) || strlen(*text) != *length) {
            command_fail("%s: cannot be read as text", path);
            code = CH_EIO;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return code;
}

/* The number of schema/NNN_name.sql, or -1 if the name has another form. */
static int name_version(const char *name) {
    const char *base = strrchr(name, '/');
    base = base == NULL ? name : base + 1;
    for (int i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)base[i])) {
            return -1;
        }
    }
    size_t word = strspn(base + 4, "abcdefghijklmnopqrstuvwxyz0123456789_");
    int version = atoi(base);
    return base[3] == '_' && word > 0 && strcmp(base + 4 + word, ".sql") == 0 && version > 0 ? version : -1;
}

static int read_file(struct migration_file *file, const char *path, const char *name, bool numbered) {
    if (numbered) {
        file->version = name_version(name);
        if (file->version < 0) {
            command_fail("%s: a schema file's name must be NNN_name.sql, NNN from 001 to 999, the name in a-z, 0-9, _",
                         path);
            return CH_EINVAL;
        }
    }
    file->name = strdup(name);
    if (file->name == NULL) {
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    size_t length = 0;
    int code = read_whole(path, &file->text, &length);
    return code != 0 ? code : migration_checksum(file->text, length, file->checksum);
}

static int check_numbers(const struct migration_files *files) {
    for (size_t i = 1; i < files->count; i++) {
        if (files->list[i].version == files->list[i - 1].version) {
            command_fail("%s and %s have the same number: give the newer one the next free number",
                         files->list[i - 1].name, files->list[i].name);
            return CH_EINVAL;
        }
    }
    return 0;
}

static int read_matching(struct migration_files *files, const char *data_dir, const char *pattern, bool numbered) {
    *files = (struct migration_files){0};
    char *full = NULL;
    if (asprintf(&full, "%s/%s", data_dir, pattern) < 0) {
        command_fail("out of memory");
        return CH_EMEMORY;
    }
    glob_t found = {0};
    int code = 0;
    int answer = glob(full, GLOB_ERR, NULL, &found);
    if (answer == GLOB_NOMATCH && !numbered) {
        code = 0; /* adapters need not have any */
    } else if (answer != 0 || found.gl_pathc == 0) {
        command_fail("%s: no such files; [hub] data_dir must name the folder that holds schema/ and adapters/", full);
        code = CH_EIO;
    } else if ((files->list = calloc(found.gl_pathc, sizeof *files->list)) == NULL) {
        command_fail("out of memory");
        code = CH_EMEMORY;
    }
    for (size_t i = 0; code == 0 && i < found.gl_pathc; i++) {
        files->count++;
        code = read_file(&files->list[i], found.gl_pathv[i], found.gl_pathv[i] + strlen(data_dir) + 1, numbered);
    }
    globfree(&found);
    free(full);
    return code;
}

int migration_files_numbered(struct migration_files *files, const char *data_dir) {
    int code = read_matching(files, data_dir, "schema/*.sql", true);
    return code != 0 ? code : check_numbers(files);
}

int migration_files_repeatable(struct migration_files *files, const char *data_dir) {
    return read_matching(files, data_dir, "adapters/*/*.sql", false);
}

void migration_files_free(struct migration_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        free(files->list[i].name);
        free(files->list[i].text);
    }
    free(files->list);
    *files = (struct migration_files){0};
}
