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

static int out_of_memory(void) {
    command_fail("out of memory");
    return CH_EMEMORY;
}

/* ---- what a numbered file supersedes ---- */

static int add_predecessor(struct migration_file *file, const char *name, size_t name_length, const char *checksum) {
    struct migration_predecessor *more =
        realloc(file->supersedes, (file->supersedes_count + 1) * sizeof *file->supersedes);
    char *copy = strndup(name, name_length);
    if (more != NULL) {
        file->supersedes = more;
    }
    if (more == NULL || copy == NULL) {
        free(copy);
        return out_of_memory();
    }
    struct migration_predecessor *added = &file->supersedes[file->supersedes_count++];
    added->name = copy;
    memcpy(added->checksum, checksum, CHECKSUM_TEXT - 1);
    added->checksum[CHECKSUM_TEXT - 1] = '\0';
    return 0;
}

/* Reads the comment at the top of the file. */
static int read_supersedes(struct migration_file *file) {
    static const char mark[] = "-- supersedes: ";
    int code = 0;
    int line = 1;
    for (const char *at = file->text; code == 0 && strncmp(at, "--", 2) == 0; line++) {
        size_t length = strcspn(at, "\n");
        if (strncmp(at, mark, strlen(mark)) == 0) {
            const char *name = at + strlen(mark);
            size_t name_length = strcspn(name, " \n");
            const char *checksum = name + name_length + 1;
            size_t left = length > strlen(mark) + name_length ? length - strlen(mark) - name_length - 1 : 0;
            if (name_length == 0 || left != CHECKSUM_TEXT - 1 || strspn(checksum, "0123456789abcdef") != left) {
                command_fail("%s:%d: must be `-- supersedes: NAME SHA-256`", file->name, line);
                return CH_EINVAL;
            }
            code = add_predecessor(file, name, name_length, checksum);
        }
        at += length + (at[length] == '\n');
    }
    return code;
}

/* ---- lists of files ---- */

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
        return out_of_memory();
    }
    size_t length = 0;
    int code = read_whole(path, &file->text, &length);
    if (code == 0) {
        code = migration_checksum(file->text, length, file->checksum);
    }
    return code == 0 && numbered ? read_supersedes(file) : code;
}

/* NULL without memory, after saying so. */
static struct migration_file *add_file(struct migration_files *files) {
    struct migration_file *more = realloc(files->list, (files->count + 1) * sizeof *files->list);
    if (more == NULL) {
        out_of_memory();
        return NULL;
    }
    files->list = more;
    struct migration_file *added = &files->list[files->count++];
    *added = (struct migration_file){0};
    return added;
}

/* Appends the files of a pattern by name; `needed`: there must be one. */
static int add_matching(struct migration_files *files, const char *data_dir, const char *pattern, bool numbered,
                        bool needed) {
    char *full = NULL;
    if (asprintf(&full, "%s/%s", data_dir, pattern) < 0) {
        return out_of_memory();
    }
    glob_t found = {0};
    int code = 0;
    int answer = glob(full, GLOB_ERR, NULL, &found);
    if (answer != 0 && (answer != GLOB_NOMATCH || needed)) {
        command_fail("%s: no such file; [hub] data_dir must name the folder that holds schema/ and adapters/", full);
        code = CH_EIO;
    }
    for (size_t i = 0; code == 0 && i < found.gl_pathc; i++) {
        struct migration_file *file = add_file(files);
        code = file == NULL ? CH_EMEMORY
                            : read_file(file, found.gl_pathv[i], found.gl_pathv[i] + strlen(data_dir) + 1, numbered);
    }
    globfree(&found);
    free(full);
    return code;
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

int migration_files_numbered(struct migration_files *files, const char *data_dir) {
    *files = (struct migration_files){0};
    int code = add_matching(files, data_dir, "schema/tables/*.sql", true, true);
    return code != 0 ? code : check_numbers(files);
}

int migration_files_one(struct migration_files *files, const char *data_dir, const char *name) {
    *files = (struct migration_files){0};
    return add_matching(files, data_dir, name, false, true);
}

int migration_files_simulation(struct migration_files *files, const char *data_dir) {
    return add_matching(files, data_dir, "schema/simulation/*.sql", false, true);
}

/* ---- the rules in their order ---- */

static int add_metrics(struct migration_files *files) {
    struct migration_file *file = add_file(files);
    if (file == NULL || (file->name = strdup(METRICS_NAME)) == NULL) {
        return file == NULL ? CH_EMEMORY : out_of_memory();
    }
    return 0;
}

/* One line of the order, without its line end. */
static int add_listed(struct migration_files *files, const char *data_dir, const char *line) {
    if (*line == '\0' || *line == '#') {
        return 0;
    }
    /* A pattern may have no files (adapters need not have any); a path must be there. */
    return strcmp(line, "metrics") == 0 ? add_metrics(files)
                                        : add_matching(files, data_dir, line, false, strpbrk(line, "*?[") == NULL);
}

static size_t times_listed(const struct migration_files *files, const char *name) {
    size_t times = 0;
    for (size_t i = 0; i < files->count; i++) {
        times += strcmp(files->list[i].name, name) == 0;
    }
    return times;
}

/* Every file of schema/rules is listed, and nothing twice. */
static int check_listed(const struct migration_files *files, const char *data_dir) {
    struct migration_files there = {0};
    int code = add_matching(&there, data_dir, "schema/rules/*.sql", false, false);
    for (size_t i = 0; code == 0 && i < there.count; i++) {
        if (times_listed(files, there.list[i].name) == 0) {
            command_fail("%s/%s is not in schema/rules/order: no rule is run that is not listed there", data_dir,
                         there.list[i].name);
            code = CH_EINVAL;
        }
    }
    for (size_t i = 0; code == 0 && i < files->count; i++) {
        if (times_listed(files, files->list[i].name) > 1) {
            command_fail("%s/schema/rules/order: %s is listed twice", data_dir, files->list[i].name);
            code = CH_EINVAL;
        }
    }
    migration_files_free(&there);
    return code;
}

int migration_files_rules(struct migration_files *files, const char *data_dir) {
    struct migration_files order;
    *files = (struct migration_files){0};
    int code = migration_files_one(&order, data_dir, "schema/rules/order");
    char *rest = order.list != NULL ? order.list[0].text : NULL;
    for (char *line = strsep(&rest, "\n"); code == 0 && line != NULL; line = strsep(&rest, "\n")) {
        code = add_listed(files, data_dir, line);
    }
    if (code == 0) {
        code = check_listed(files, data_dir);
    }
    migration_files_free(&order);
    return code;
}

void migration_files_free(struct migration_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        struct migration_file *file = &files->list[i];
        for (size_t n = 0; n < file->supersedes_count; n++) {
            free(file->supersedes[n].name);
        }
        free(file->supersedes);
        free(file->name);
        free(file->text);
    }
    free(files->list);
    *files = (struct migration_files){0};
}
