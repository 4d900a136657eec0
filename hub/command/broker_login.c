/* broker_login.c: vendors' logins at mosquitto. Must never print a password, nor leave the broker's file half written.
 */
#include "hub/command/broker_login.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"

enum {
    SALT_BYTES = 12, /* mosquitto 2.0 refuses any other length */
    HASH_BYTES = 64, /* SHA-512 */
    /* mosquitto_passwd's own default is 101. The broker computes this in its only thread at every connect, so it is a
     * balance: about 10 ms of that thread against guessing a stolen file. */
    ITERATIONS = 10000,
    PASSWORD_BYTES = 24,
    RELOAD_TIMEOUT_S = 30,
};

int broker_hash(const char *password, char hash[BROKER_HASH_TEXT]) {
    unsigned char salt[SALT_BYTES];
    unsigned char digest[HASH_BYTES];
    unsigned char salt_text[17]; /* 12 bytes in base64, and its end */
    unsigned char digest_text[89];
    if (RAND_bytes(salt, SALT_BYTES) != 1 || PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, SALT_BYTES,
                                                               ITERATIONS, EVP_sha512(), HASH_BYTES, digest) != 1) {
        command_fail("OpenSSL cannot hash the password");
        return CH_EIO;
    }
    EVP_EncodeBlock(salt_text, salt, SALT_BYTES);
    EVP_EncodeBlock(digest_text, digest, HASH_BYTES);
    snprintf(hash, BROKER_HASH_TEXT, "$7$%d$%s$%s", ITERATIONS, (char *)salt_text, (char *)digest_text);
    return 0;
}

int broker_password(char password[BROKER_PASSWORD_TEXT]) {
    unsigned char bytes[PASSWORD_BYTES];
    if (RAND_bytes(bytes, PASSWORD_BYTES) != 1) {
        command_fail("OpenSSL has no random numbers");
        return CH_EIO;
    }
    EVP_EncodeBlock((unsigned char *)password, bytes, PASSWORD_BYTES);
    OPENSSL_cleanse(bytes, sizeof bytes);
    for (char *at = password; *at != '\0'; at++) {
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at); /* no shell or URL takes offence at these */
    }
    return 0;
}

/* The row of onemap.vendor_logins() with the name that `line` of a password file begins with, or -1. */
static int line_login(const char *line, const PGresult *logins) {
    size_t length = strcspn(line, ":\r\n");
    for (int row = 0; row < PQntuples(logins); row++) {
        const char *name = PQgetvalue(logins, row, 0);
        if (strlen(name) == length && strncmp(name, line, length) == 0) {
            return row;
        }
    }
    return -1;
}

/* Copies what is not vendors', then writes the vendors' lines. */
static int write_lines(FILE *from, FILE *to, const PGresult *logins) {
    char *line = NULL;
    size_t size = 0;
    while (from != NULL && getline(&line, &size, from) >= 0) {
        if (line_login(line, logins) < 0) {
            fputs(line, to);
            if (strchr(line, '\n') == NULL) {
                fputc('\n', to);
            }
        }
    }
    free(line);
    for (int row = 0; row < PQntuples(logins); row++) {
        if (!PQgetisnull(logins, row, 1)) {
            fprintf(to, "%s:%s\n", PQgetvalue(logins, row, 0), PQgetvalue(logins, row, 1));
        }
    }
    return (from != NULL && ferror(from)) || ferror(to) ? CH_EIO : 0;
}

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

static int fill_and_rename(int file, const char *temporary, const char *path, const char *folder,
                           const PGresult *logins) {
    FILE *to = fdopen(file, "w");
    if (to == NULL) {
        close(file);
        return CH_EIO;
    }
    FILE *from = fopen(path, "re");
    int code = from == NULL && errno != ENOENT ? CH_EIO : write_lines(from, to, logins);
    if (from != NULL) {
        fclose(from);
    }
    if (code == 0) {
        code = adopt_owner(file, path, folder);
    }
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

static int write_file(const char *path, const PGresult *logins) {
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
    code = file < 0 ? CH_EIO : fill_and_rename(file, temporary, path, folder, logins);
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
        command_fail("[mqtt] vendor_reload_command `%s` %s: the broker may not know the logins yet; run the command by "
                     "hand, or `cityhub vendor sync`",
                     command, WIFEXITED(status) && WEXITSTATUS(status) == 124 ? "did not end in time" : "failed");
        return CH_EIO;
    }
    return 0;
}

static const char logins_sql[] = "SELECT vendor, password_hash FROM onemap.vendor_logins()";

int broker_logins_write(const struct config *config, PGconn *connection) {
    const char *path = config->mqtt_vendor_password_file;
    if (*path == '\0') {
        return 0;
    }
    int code = database_run(connection, "BEGIN", 0, NULL);
    PGresult *logins = code == 0 ? database_query(connection, logins_sql, 0, NULL) : NULL;
    if (logins == NULL) {
        return CH_EDATABASE;
    }
    code = write_file(path, logins);
    PQclear(logins);
    if (database_run(connection, code == 0 ? "COMMIT" : "ROLLBACK", 0, NULL) != 0 && code == 0) {
        code = CH_EDATABASE;
    }
    if (code == 0 && config->mqtt_vendor_reload_command[0] != '\0') {
        code = reload(config->mqtt_vendor_reload_command);
    }
    return code;
}

int broker_login_taken(const struct config *config, PGconn *connection, const char *name) {
    if (strcmp(config->mqtt_username, name) == 0) {
        return 1;
    }
    FILE *file = config->mqtt_vendor_password_file[0] == '\0' ? NULL : fopen(config->mqtt_vendor_password_file, "re");
    if (file == NULL) {
        return 0;
    }
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) >= 0) {
        found = strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
    }
    free(line);
    fclose(file);
    if (!found) {
        return 0;
    }
    char *known = database_text(connection, "SELECT onemap.vendor_is_known($1)", 1, (const char *const[]){name});
    if (known == NULL) {
        return CH_EDATABASE;
    }
    int taken = *known != 't';
    free(known);
    return taken;
}
