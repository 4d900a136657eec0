/* package.c: the files. A package is numbered and kept by the database before its file is written, and taken by it in
 * one transaction: whoever is killed in between does the same again. Must never take what is not signed. */
#include "hub/exchange/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/base/secret.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/document.h"
#include "hub/exchange/folder.h"
#include "hub/exchange/signature.h"

enum {
    FILE_MAX = 1 << 16,
    PACKAGE_MAX = 256 << 20,
    NAME_MAX_BYTES = 80,
    RECORDS = 500,
    RECORDS_MAX = 10000,
    WAIT_S = 86400,
    WAIT_MAX_S = 90 * 86400,
};

/* ---- the peer's file ---- */

static bool is_name(const char *text) {
    size_t length = strlen(text);
    return length >= 1 && length <= 32 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length &&
           *text != '-' && *text != '_';
}

static bool check_members(const cJSON *object, const char *known) {
    bool right = true;
    for (const cJSON *stray = object->child; (stray = member_stray(stray, known)) != NULL; stray = stray->next) {
        command_fail("there is no member \"%s\"", stray->string);
        right = false;
    }
    return right;
}

static bool load_signer(struct package_peer *peer) {
    char problem[FILE_PROBLEM_MAX];
    size_t length = 0;
    const cJSON *sign = member_get(peer->file, "sign");
    const char *kind = member_text(sign, "kind"), *path = member_text(sign, "secret_file");
    peer->signer.signature = strcmp(kind, "hmac-sha256") == 0 ? PLATFORM_HMAC_SHA256
                             : strcmp(kind, "hmac-sm3") == 0  ? PLATFORM_HMAC_SM3
                                                              : PLATFORM_UNSIGNED;
    if (peer->signer.signature == PLATFORM_UNSIGNED || *path == '\0') {
        return command_fail("sign: needs kind (hmac-sha256 or hmac-sm3) and secret_file"), false;
    }
    peer->signer.sign_secret = file_read(path, PLATFORM_SECRET_MAX, &length, problem);
    if (peer->signer.sign_secret == NULL) {
        return command_fail("sign: %s: %s", path, problem), false;
    }
    peer->signer.sign_secret[strcspn(peer->signer.sign_secret, "\r\n")] = '\0';
    if (strlen(peer->signer.sign_secret) < 16) {
        return command_fail("sign: %s: the key must have 16 characters or more", path), false;
    }
    peer->signer.document = cJSON_Parse("{\"parts\":[\"body\"]}");
    peer->signer.sign = peer->signer.document;
    return peer->signer.document != NULL;
}

int package_peer_load(struct package_peer *peer, const char *path) {
    *peer = (struct package_peer){.file = document_read(path, FILE_MAX)};
    if (!cJSON_IsObject(peer->file)) {
        if (peer->file != NULL) {
            command_fail("%s: must be a JSON object", path);
        }
        return CH_EINVAL;
    }
    bool right = check_members(peer->file,
                               "name name_zh peer county out in records resources wait_s since sign oldest_s comment");
    double records = member_number(peer->file, "records", RECORDS), wait = member_number(peer->file, "wait_s", WAIT_S);
    peer->own = member_text(peer->file, "name");
    peer->peer = member_text(peer->file, "peer");
    peer->county = member_text(peer->file, "county");
    peer->out = member_text(peer->file, "out");
    peer->in = member_text(peer->file, "in");
    if (!is_name(peer->own) || !is_name(peer->peer) || strcmp(peer->own, peer->peer) == 0) {
        command_fail("name and peer must be two names of 1 to 32 of a-z, 0-9, _ and -");
        right = false;
    }
    if (*peer->out == '\0' || *peer->in == '\0' || strcmp(peer->out, peer->in) == 0) {
        command_fail("out and in must be two folders");
        right = false;
    }
    if (records < 1 || records > RECORDS_MAX || wait < 60 || wait > WAIT_MAX_S) {
        command_fail("records must be from 1 to %d, wait_s from 60 to %d", RECORDS_MAX, WAIT_MAX_S);
        right = false;
    }
    peer->records = (int)records;
    peer->wait_s = (int)wait;
    return load_signer(peer) && right ? 0 : CH_EINVAL;
}

void package_peer_free(struct package_peer *peer) {
    if (peer->signer.sign_secret != NULL) {
        secret_wipe(peer->signer.sign_secret, strlen(peer->signer.sign_secret));
    }
    free(peer->signer.sign_secret);
    cJSON_Delete(peer->signer.document);
    cJSON_Delete(peer->file);
    *peer = (struct package_peer){0};
}

static int signature_of(const struct package_peer *peer, const char *content, struct buffer *text) {
    int code = signature_make(&peer->signer, &(struct signed_parts){"", "", "", content}, text);
    return code == 0 && buffer_string(text) == NULL ? CH_EMEMORY : code;
}

/* ---- out ---- */

/* A peer to which records go is a target of the ledger. */
static int put_target(PGconn *database, const struct package_peer *peer) {
    cJSON *request = cJSON_CreateObject();
    static const char *const members[] = {"name_zh", "resources", "since", "oldest_s"};
    cJSON_AddStringToObject(request, "target", peer->peer);
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        const cJSON *member = member_get(peer->file, members[i]);
        if (member != NULL) {
            cJSON_AddItemToObject(request, members[i], cJSON_Duplicate(member, true));
        }
    }
    char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    int code = text == NULL ? CH_EMEMORY
                            : database_run(database, "SELECT onemap.exchange_target_put($1::jsonb)", 1,
                                           (const char *const[]){text});
    cJSON_free(text);
    return code == 0 ? database_run(database, "SELECT onemap.exchange_sweep()", 0, NULL) : code;
}

static int write_package(const struct package_peer *peer, const cJSON *made, const char *name) {
    struct buffer signature = {0};
    cJSON *file = cJSON_CreateObject();
    int code = signature_of(peer, member_text(made, "content"), &signature);
    cJSON_AddStringToObject(file, "from", peer->own);
    cJSON_AddStringToObject(file, "to", peer->peer);
    cJSON_AddStringToObject(file, "hash", member_text(made, "hash"));
    cJSON_AddStringToObject(file, "sign", member_text(member_get(peer->file, "sign"), "kind"));
    cJSON_AddStringToObject(file, "signature", code == 0 ? buffer_string(&signature) : "");
    cJSON_AddStringToObject(file, "content", member_text(made, "content"));
    char *text = code == 0 ? cJSON_PrintUnformatted(file) : NULL;
    code = text == NULL ? CH_EMEMORY : folder_write(peer->out, name, text);
    if (code != 0) {
        command_fail("%s/%s: %s", peer->out, name, code == CH_EIO ? strerror(errno) : "out of memory");
    }
    cJSON_free(text);
    cJSON_Delete(file);
    buffer_free(&signature);
    return code;
}

/* Returns 1, 0 if there was nothing to write, or an error, which was told. */
static int out_one(PGconn *database, const struct package_peer *peer) {
    char most[16], wait[16], name[NAME_MAX_BYTES], number[24];
    snprintf(most, sizeof most, "%d", peer->records);
    snprintf(wait, sizeof wait, "%d", peer->wait_s);
    char *text = database_text(database, "SELECT onemap.package_make($1, $2, $3::int, $4::int)", 4,
                               (const char *const[]){peer->peer, peer->own, most, wait});
    if (text == NULL || *text == '\0') {
        int code = text == NULL ? CH_EDATABASE : 0;
        free(text);
        return code;
    }
    cJSON *made = cJSON_Parse(text);
    long long place = (long long)member_number(made, "number", 0);
    snprintf(number, sizeof number, "%lld", place);
    snprintf(name, sizeof name, "%s-%08lld.json", peer->own, place);
    int code = made == NULL ? CH_EMEMORY : write_package(peer, made, name);
    if (code == 0) {
        code = database_run(database, "SELECT onemap.package_written($1, $2::bigint)", 2,
                            (const char *const[]){peer->peer, number});
    }
    if (code == 0) {
        printf("%s: written\n", name);
    }
    cJSON_Delete(made);
    free(text);
    return code == 0 ? 1 : code;
}

int package_out(PGconn *database, const struct package_peer *peer) {
    if (cJSON_GetArraySize(member_get(peer->file, "resources")) > 0 && put_target(database, peer) != 0) {
        return EXIT_FAILED;
    }
    int code = out_one(database, peer), count = 0;
    while (code == 1) {
        count++;
        code = out_one(database, peer);
    }
    if (code == 0) {
        printf("%d packages to %s\n", count, peer->peer);
    }
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- in ---- */

struct found {
    long long number;
    char name[NAME_MAX_BYTES];
};

/* The number in "<peer>-<digits>.json", or 0. */
static long long number_in(const char *name, const char *peer) {
    size_t length = strlen(peer);
    char *end = NULL;
    if (strncmp(name, peer, length) != 0 || name[length] != '-' || name[length + 1] < '0' || name[length + 1] > '9' ||
        strlen(name) >= NAME_MAX_BYTES) {
        return 0;
    }
    errno = 0;
    long long number = strtoll(name + length + 1, &end, 10);
    return errno == 0 && strcmp(end, ".json") == 0 ? number : 0;
}

static int by_number(const void *a, const void *b) {
    long long first = ((const struct found *)a)->number, second = ((const struct found *)b)->number;
    return first < second ? -1 : first > second;
}

/* Returns the packages of the folder in their order, NULL after telling why not. */
static struct found *look(const struct package_peer *peer, size_t *count) {
    DIR *folder = opendir(peer->in);
    size_t room = 64;
    struct found *found = malloc(room * sizeof *found);
    const struct dirent *entry;
    *count = 0;
    while (folder != NULL && found != NULL && (entry = readdir(folder)) != NULL) {
        long long number = number_in(entry->d_name, peer->peer);
        if (number <= 0) {
            continue;
        }
        if (*count == room) {
            struct found *more = realloc(found, 2 * room * sizeof *found);
            if (more == NULL) {
                break;
            }
            found = more;
            room *= 2;
        }
        found[*count].number = number;
        snprintf(found[(*count)++].name, NAME_MAX_BYTES, "%.*s", NAME_MAX_BYTES - 1, entry->d_name);
    }
    if (folder == NULL || found == NULL) {
        command_fail("%s: %s", peer->in, folder == NULL ? strerror(errno) : "out of memory");
        free(found);
        found = NULL;
    } else {
        qsort(found, *count, sizeof *found, by_number);
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return found;
}

/* NULL with the problem: it is `changed`, not what its peer signed; or it cannot be read whole, as while it is copied.
 */
static cJSON *open_package(const struct package_peer *peer, const char *name, bool *changed, char *problem,
                           size_t size) {
    char path[4096], why[FILE_PROBLEM_MAX];
    struct stat about;
    size_t length = 0;
    struct buffer signature = {0};
    snprintf(path, sizeof path, "%s/%s", peer->in, name);
    char *text = NULL;
    if (lstat(path, &about) != 0 || !S_ISREG(about.st_mode)) {
        snprintf(problem, size, "is no file");
    } else if ((text = file_read(path, PACKAGE_MAX, &length, why)) == NULL) {
        snprintf(problem, size, "%s", why);
    }
    cJSON *file = text == NULL ? NULL : cJSON_ParseWithLength(text, length);
    const char *told = member_text(file, "signature");
    bool genuine = file != NULL && signature_of(peer, member_text(file, "content"), &signature) == 0 &&
                   strlen(told) == signature.length && sodium_memcmp(told, signature.data, signature.length) == 0;
    *changed = file != NULL && !genuine;
    if (text != NULL && !genuine) {
        snprintf(problem, size, "%s",
                 *changed ? "changed: the signature is not that of its content" : "is not whole, or no JSON: it stays");
        cJSON_Delete(file);
        file = NULL;
    }
    buffer_free(&signature);
    free(text);
    return file;
}

static void put_aside(const struct package_peer *peer, const char *name, const char *where) {
    char to[NAME_MAX_BYTES + 16];
    int folder = open(peer->in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(to, sizeof to, "%s/%s", where, name);
    if (folder < 0 || (mkdirat(folder, where, 0750) != 0 && errno != EEXIST) ||
        renameat(folder, name, folder, to) != 0) {
        command_fail("%s/%s: it stays where it is: %s", peer->in, name, strerror(errno));
    }
    if (folder >= 0) {
        close(folder);
    }
}

/* Returns whether the package is settled and right, or CH_EDATABASE. */
static int in_one(PGconn *database, const struct package_peer *peer, const struct found *found) {
    char number[24], problem[256] = "";
    bool changed = false;
    cJSON *file = open_package(peer, found->name, &changed, problem, sizeof problem), *answer = NULL;
    snprintf(number, sizeof number, "%lld", found->number);
    if (file == NULL) {
        command_fail("%s: %s", found->name, problem);
        if (changed) {
            put_aside(peer, found->name, "refused");
        }
        return 0;
    }
    char *text = database_text(database, "SELECT onemap.package_take($1, $2, $3, $4::bigint, $5, $6)", 6,
                               (const char *const[]){peer->peer, peer->own, peer->county, number,
                                                     member_text(file, "hash"), member_text(file, "content")});
    answer = text == NULL ? NULL : cJSON_Parse(text);
    const char *outcome = member_text(answer, "outcome");
    bool settled = strcmp(outcome, "stored") == 0 || strcmp(outcome, "again") == 0;
    if (settled) {
        printf("%s: %s\n", found->name, member_text(answer, "message"));
        put_aside(peer, found->name, "done");
    } else if (answer != NULL) {
        command_fail("%s: %s", found->name, member_text(answer, "message"));
        if (strcmp(outcome, "gap") != 0) {
            put_aside(peer, found->name, "refused");
        }
    }
    int code = answer == NULL ? CH_EDATABASE : settled;
    cJSON_Delete(answer);
    cJSON_Delete(file);
    free(text);
    return code;
}

int package_in(PGconn *database, const struct package_peer *peer) {
    size_t count = 0;
    struct found *found = look(peer, &count);
    int result = found == NULL ? EXIT_FAILED : EXIT_DONE;
    for (size_t i = 0; found != NULL && i < count; i++) {
        int code = in_one(database, peer, &found[i]);
        result = code == 1 ? result : EXIT_FAILED;
        if (code < 0) {
            break;
        }
    }
    if (found != NULL && count == 0) {
        printf("no packages from %s\n", peer->peer);
    }
    free(found);
    return result;
}
