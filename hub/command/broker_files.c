/* broker_files.c: the broker's files of vendors, see broker_files.h. Must never leave one half written, nor print a
 * hash.
 */
#include "hub/command/broker_files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/command/broker_text.h"

enum { RELOAD_TIMEOUT_S = 30 };

/* ---- one file, in one step ---- */

/* The new file belongs to whom the old one did; the first one to the folder's group, which is the broker's. */
static int adopt_owner(int file, const char *path, const char *folder) {
    struct stat facts;
    mode_t mode = 0640;
    uid_t owner = (uid_t)-1;
    if (stat(path, &facts) == 0) {
        mode = facts.st_mode & 07777;
        owner = facts.st_uid;
    } else if (stat(folder, &facts) != 0) {
        return CH_EIO;
    }
    struct stat own;
    if (fstat(file, &own) != 0) {
        return CH_EIO;
    }
    bool same = own.st_gid == facts.st_gid && (owner == (uid_t)-1 || own.st_uid == owner);
    if (!same && fchown(file, owner, facts.st_gid) != 0) {
        command_fail("%s: cannot be given to the owner and group it has now (%ld:%ld): %s", path, (long)facts.st_uid,
                     (long)facts.st_gid, strerror(errno));
        return CH_EIO;
    }
    return fchmod(file, mode) == 0 ? 0 : CH_EIO;
}

static void sync_folder(const char *folder) {
    int handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle >= 0) {
        fsync(handle);
        close(handle);
    }
}

/* Writes `text` to the temporary file and gives it the other's name. */
static int fill_and_rename(int file, const char *temporary, const char *path, const char *folder, const char *text) {
    FILE *to = fdopen(file, "w");
    if (to == NULL) {
        close(file);
        return CH_EIO;
    }
    int code = fputs(text, to) < 0 ? CH_EIO : adopt_owner(file, path, folder);
    if (code == 0 && (fflush(to) != 0 || fsync(file) != 0)) {
        code = CH_EIO;
    }
    if (fclose(to) != 0 && code == 0) {
        code = CH_EIO;
    }
    if (code == 0 && rename(temporary, path) != 0) {
        code = CH_EIO;
    }
    return code;
}

static int write_file(const char *path, const char *text) {
    char *copy = strdup(path);
    char *temporary = NULL;
    int code = 0;
    if (copy == NULL || asprintf(&temporary, "%s.new.XXXXXX", path) < 0) {
        command_fail("out of memory");
        free(copy);
        return CH_EMEMORY;
    }
    const char *folder = dirname(copy);
    int file = mkostemp(temporary, O_CLOEXEC);
    code = file < 0 ? CH_EIO : fill_and_rename(file, temporary, path, folder, text);
    if (code != 0) {
        command_fail("%s: cannot be written: %s", path, strerror(errno));
        if (file >= 0) {
            unlink(temporary);
        }
    } else {
        sync_folder(folder);
    }
    free(temporary);
    free(copy);
    return code;
}

/* coreutils' timeout bounds the wait. */
static int reload(const char *command) {
    char limit[16];
    snprintf(limit, sizeof limit, "%d", RELOAD_TIMEOUT_S);
    pid_t child = fork();
    if (child == 0) {
        execlp("timeout", "timeout", "-k", "5", limit, "/bin/sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        command_fail("[mqtt] vendor_reload_command cannot be started: %s", strerror(errno));
        return CH_EIO;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        command_fail("[mqtt] vendor_reload_command `%s` %s: the broker may not know it yet; run the command by "
                     "hand, or `cityhub vendor sync`",
                     command, WIFEXITED(status) && WEXITSTATUS(status) == 124 ? "did not end in time" : "failed");
        return CH_EIO;
    }
    return 0;
}

/* ---- the files ---- */

struct broker_file {
    const char *path; /* "" = there is none */
    broker_text *text;
    const char *line_end; /* what of a line may be told, up to one of these: hashes are nobody's business */
};

enum { FILES = 4 };

static void files_of(const struct config *config, struct broker_file files[FILES]) {
    files[0] = (struct broker_file){config->mqtt_vendor_password_file, broker_text_passwords, ":\n"};
    files[1] = (struct broker_file){config->mqtt_vendor_acl_file, broker_text_access, "\n"};
    files[2] = (struct broker_file){config->mqtt_vendor_definitions_file, broker_text_definitions, ",\n"};
    files[3] = (struct broker_file){config->mqtt_device_token_file, broker_text_tokens, ":\n"};
}

const char *broker_files_path(const struct config *config, size_t number) {
    struct broker_file files[FILES];
    files_of(config, files);
    for (size_t i = 0; i < FILES; i++) {
        if (files[i].path[0] != '\0' && number-- == 0) {
            return files[i].path;
        }
    }
    return NULL;
}

bool broker_files_any(const struct config *config) {
    return broker_files_path(config, 0) != NULL;
}

/* What is in the file now and what belongs into it; the caller frees both. A file that is not there yet is empty. */
static int file_texts(const struct broker_file *file, const struct broker_facts *facts, char **is, char **should_be) {
    size_t is_length, should_be_length;
    int code = CH_EMEMORY;
    *is = *should_be = NULL;
    FILE *from = fopen(file->path, "re");
    if (from == NULL && errno != ENOENT) {
        command_fail("%s: cannot be read: %s", file->path, strerror(errno));
        return CH_EIO;
    }
    FILE *copy = open_memstream(is, &is_length);
    for (int byte; copy != NULL && from != NULL && (byte = fgetc(from)) != EOF;) {
        fputc(byte, copy);
    }
    bool unread = from != NULL && ferror(from) != 0;
    bool whole = copy != NULL && ferror(copy) == 0 && fclose(copy) == 0;
    if (from != NULL) {
        fclose(from);
    }
    FILE *to = whole && !unread ? open_memstream(should_be, &should_be_length) : NULL;
    if (to != NULL) {
        code = file->text(facts, *is, to);
        code = ferror(to) != 0 || fclose(to) != 0 ? CH_EMEMORY : code;
    }
    if (code != 0) {
        command_fail("%s: %s", file->path, unread ? "cannot be read" : "out of memory");
    }
    return unread ? CH_EIO : code;
}

/* Lines of `text` that `other` has not. Returns their number. */
static int tell_lines(const struct broker_file *file, const char *text, const char *other, const char *what) {
    int count = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        bool found = false;
        for (const char *line = other; !found && *line != '\0';) {
            size_t line_length = strcspn(line, "\n");
            found = line_length == length && strncmp(line, text, length) == 0;
            line += line_length + (line[line_length] == '\n');
        }
        if (!found) {
            count++;
            printf("%s: %s: %.*s\n", file->path, what, (int)strcspn(text, file->line_end), text);
        }
        text += length + (text[length] == '\n');
    }
    return count;
}

/* Writes the file, or tells how it differs. Returns 0 or a negative code; adds to `differences`. */
static int file_take(const struct broker_file *file, const struct broker_facts *facts, int *differences) {
    char *is, *should_be;
    int code = file_texts(file, facts, &is, &should_be);
    if (code == 0 && differences == NULL) {
        code = write_file(file->path, should_be);
    } else if (code == 0 && strcmp(is, should_be) != 0) {
        int told =
            tell_lines(file, is, should_be, "should not be there") + tell_lines(file, should_be, is, "is missing");
        if (told == 0) {
            printf("%s: its lines are in another order\n", file->path);
        }
        *differences += told == 0 ? 1 : told;
    }
    free(is);
    free(should_be);
    return code;
}

/* A login whose hash was made for the other broker cannot come in. */
static void tell_unusable(const struct config *config, const PGresult *logins) {
    bool mosquitto = config->mqtt_vendor_password_file[0] != '\0';
    for (int row = 0; row < PQntuples(logins); row++) {
        if (!PQgetisnull(logins, row, 1) && (mosquitto || config->mqtt_vendor_definitions_file[0] != '\0') &&
            broker_hash_is_mosquitto(PQgetvalue(logins, row, 1)) != mosquitto) {
            fprintf(stderr, "The password of vendor %s was hashed for another broker: give it a new one.\n",
                    PQgetvalue(logins, row, 0));
        }
    }
}

static const char logins_sql[] = "SELECT l.vendor, l.password_hash FROM onemap.vendor_logins() l";
static const char rights_sql[] = "SELECT v.vendor, v.subsystem, v.revoked_at IS NULL FROM onemap.vendor v"
                                 " ORDER BY v.vendor, v.subsystem";
static const char tokens_sql[] = "SELECT t.identity, t.hash FROM onemap.terminal_tokens() t";

/* vendor_logins() holds a lock to the transaction's end, so that of two commands the later one writes the later state.
 */
static int files_take(const struct config *config, PGconn *connection, int *differences) {
    struct broker_file files[FILES];
    if (database_run(connection, "BEGIN", 0, NULL) != 0) {
        return CH_EDATABASE;
    }
    PGresult *logins = database_query(connection, logins_sql, 0, NULL);
    PGresult *rights = logins == NULL ? NULL : database_query(connection, rights_sql, 0, NULL);
    PGresult *tokens = rights == NULL ? NULL : database_query(connection, tokens_sql, 0, NULL);
    int code = tokens == NULL ? CH_EDATABASE : 0;
    files_of(config, files);
    for (int i = 0; i < FILES && code == 0; i++) {
        if (*files[i].path != '\0') {
            code = file_take(&files[i], &(struct broker_facts){logins, rights, tokens}, differences);
        }
    }
    if (code == 0) {
        tell_unusable(config, logins);
    }
    PQclear(logins);
    PQclear(rights);
    PQclear(tokens);
    if (database_run(connection, code == 0 ? "COMMIT" : "ROLLBACK", 0, NULL) != 0 && code == 0) {
        code = CH_EDATABASE;
    }
    return code;
}

int broker_logins_write(const struct config *config, PGconn *connection) {
    if (!broker_files_any(config)) {
        return 0;
    }
    int code = files_take(config, connection, NULL);
    if (code == 0 && config->mqtt_vendor_reload_command[0] != '\0') {
        code = reload(config->mqtt_vendor_reload_command);
    }
    return code;
}

int broker_files_check(const struct config *config, PGconn *connection) {
    int differences = 0;
    int code = files_take(config, connection, &differences);
    return code == 0 ? differences : code;
}
