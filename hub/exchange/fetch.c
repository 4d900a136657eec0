/* fetch.c: one photograph after the other: from the address that a citizen's program named to the hub, which judges by
 * the content what it is. Must never say where it asked, for a key may be in it, nor be led elsewhere than the
 * county's file permits (outside.h). The hub is asked on this machine alone. */
#include "hub/exchange/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/address_range.h"
#include "hub/base/buffer.h"
#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/outside.h"
#include "hub/base/secret.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/document.h"
#include "hub/exchange/ending.h"

enum {
    FILE_MAX = 1 << 16,
    LOOK_MS = 5000,
    CONNECT_S = 10,
    WHOLE_S = 60,
    HUB_S = 120, /* it makes the small picture before it answers */
    BYTES_MAX = 20 << 20,
    ANSWER_MAX = 1 << 16,
    PROBLEM_MAX = 160,
    STATUS_OK = 200,
    STATUS_MADE = 201,
    STATUS_LARGE = 413,
    STATUS_MEDIA = 415,
};

/* What an address answered, or the hub. */
struct body {
    struct buffer bytes;
    size_t most;
    bool large;
};

struct fetching {
    cJSON *file;
    cJSON *here; /* ranges of this machine */
    char *token;
    CURL *outside, *hub; /* a handle keeps connections: what may reach the hub must not serve the others */
    PGconn *database;
    size_t kept, failed, again;
};

/* How one ended: `sha256` "" = it is not kept, `problem` says why; `final` = trying again would not help. */
struct outcome {
    char sha256[65];
    char problem[PROBLEM_MAX];
    bool final;
};

static bool stops(void *user) {
    (void)user;
    return ending_has_come();
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    struct body *body = user;
    (void)size;
    if (body->bytes.length + count > body->most) {
        body->large = true;
        return 0;
    }
    buffer_bytes(&body->bytes, bytes, count);
    return body->bytes.failed ? 0 : count;
}

static void end_with(struct outcome *outcome, bool final, const char *problem) {
    outcome->final = final;
    snprintf(outcome->problem, sizeof outcome->problem, "%s", problem);
}

static long perform(CURL *curl, struct body *body, CURLcode *code) {
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    *code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Whether the photograph has come. */
static bool get(struct fetching *fetching, const char *url, struct body *body, struct outcome *outcome) {
    CURLcode code;
    struct outside outside = {.plain_http = member_true(fetching->file, "plain_http"),
                              .private_addresses = member_get(fetching->file, "private_addresses"),
                              .ca_file = member_text(fetching->file, "ca_file"),
                              .connect_s = CONNECT_S,
                              .whole_s = (long)member_number(fetching->file, "timeout_s", WHOLE_S),
                              .stop = stops};
    outside_set(fetching->outside, url, &outside);
    long status = perform(fetching->outside, body, &code);
    if (outside.forbidden) {
        end_with(outcome, true, "its address is not a public one, and not in private_addresses");
    } else if (body->large) {
        end_with(outcome, true, "it has more than 20 MiB");
    } else if (code != CURLE_OK || body->bytes.failed) {
        end_with(outcome, false, code == CURLE_OK ? "memory is out" : curl_easy_strerror(code));
    } else if (status != STATUS_OK) {
        snprintf(outcome->problem, sizeof outcome->problem, "its host answered with status %ld", status);
        outcome->final = status >= 300 && status < 400; /* a redirect is not followed */
    } else if (body->bytes.length == 0) {
        end_with(outcome, false, "its host answered with nothing");
    }
    return outcome->problem[0] == '\0';
}

static struct curl_slist *headers_of(const char *token) {
    struct buffer line = {0};
    buffer_format(&line, "Authorization: Bearer %s", token);
    struct curl_slist *list = curl_slist_append(NULL, buffer_string(&line) == NULL ? "" : line.data);
    if (line.data != NULL) {
        secret_wipe(line.data, line.length);
    }
    buffer_free(&line);
    curl_slist_append(list, "Content-Type: application/octet-stream");
    curl_slist_append(list, "Expect:");
    return list;
}

/* Sends the photograph to the hub, which names it by its SHA-256 then. */
static void hand_over(struct fetching *fetching, const struct body *photograph, struct outcome *outcome) {
    struct body answer = {.most = ANSWER_MAX};
    struct buffer url = {0};
    struct curl_slist *headers = headers_of(fetching->token);
    struct outside outside = {.plain_http = true,
                              .private_addresses = fetching->here,
                              .ca_file = "",
                              .connect_s = CONNECT_S,
                              .whole_s = HUB_S,
                              .stop = stops};
    CURLcode code;
    buffer_format(&url, "%s/api/v1/attachments", member_text(fetching->file, "hub"));
    outside_set(fetching->hub, buffer_string(&url), &outside);
    curl_easy_setopt(fetching->hub, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(fetching->hub, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)photograph->bytes.length);
    curl_easy_setopt(fetching->hub, CURLOPT_POSTFIELDS, photograph->bytes.data);
    long status = perform(fetching->hub, &answer, &code);
    cJSON *made = cJSON_ParseWithLength(answer.bytes.data, answer.bytes.length);
    if (code == CURLE_OK && status == STATUS_MADE) {
        snprintf(outcome->sha256, sizeof outcome->sha256, "%s", member_text(made, "sha256"));
    } else if (code == CURLE_OK && (status == STATUS_MEDIA || status == STATUS_LARGE)) {
        end_with(outcome, true,
                 status == STATUS_MEDIA ? "it is no whole JPEG, PNG, WebP, PDF or MP4 file"
                                        : "it is larger than [http] attachment_mib");
    } else {
        snprintf(outcome->problem, sizeof outcome->problem, "the hub did not take it (%ld)", status);
        log_warning("media_hub", "status=%ld reason=%s advice=\"see hub and token_file of the file\"", status,
                    log_quote(curl_easy_strerror(code)));
    }
    cJSON_Delete(made);
    curl_slist_free_all(headers);
    buffer_free(&url);
    buffer_free(&answer.bytes);
}

/* Returns 0 or the database's error. */
static int fetch_one(struct fetching *fetching, const cJSON *row) {
    struct outcome outcome = {0};
    struct body photograph = {.most = BYTES_MAX};
    if (!member_true(row, "permitted")) {
        end_with(&outcome, true, "its host is no longer in open311_media_hosts");
    } else if (get(fetching, member_text(row, "url"), &photograph, &outcome)) {
        hand_over(fetching, &photograph, &outcome);
    }
    buffer_free(&photograph.bytes);
    bool sent = outcome.sha256[0] != '\0';
    if (!sent) {
        log_warning("media_not_fetched", "id=%s problem=%s again=%d", member_text(row, "id"),
                    log_quote(outcome.problem), !outcome.final);
    }
    const char *parameters[] = {member_text(row, "id"), sent ? outcome.sha256 : NULL, sent ? NULL : outcome.problem,
                                outcome.final ? "true" : "false"};
    char *state = database_text(fetching->database, "SELECT onemap.open311_media_told($1::bigint, $2, $3, $4::boolean)",
                                4, parameters);
    int code = state == NULL ? CH_EDATABASE : 0;
    fetching->kept += code == 0 && strcmp(state, "kept") == 0;
    fetching->failed += code == 0 && strcmp(state, "failed") == 0;
    fetching->again += code == 0 && strcmp(state, "waiting") == 0;
    free(state);
    return code;
}

/* ---- what is due ---- */

/* What is due now, until nothing is. Returns an exit status. */
static int fetch_due(struct fetching *fetching) {
    int rows = 1, code = 0;
    while (rows > 0 && code == 0 && !ending_has_come()) {
        char *text = database_text(fetching->database, "SELECT onemap.open311_media_due()", 0, NULL);
        cJSON *due = text == NULL ? NULL : cJSON_Parse(text);
        const cJSON *row;
        rows = cJSON_GetArraySize(due);
        code = due == NULL ? CH_EDATABASE : 0;
        cJSON_ArrayForEach(row, due) {
            code = code == 0 && !ending_has_come() ? fetch_one(fetching, row) : code;
        }
        cJSON_Delete(due);
        free(text);
    }
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int look(struct fetching *fetching, const struct config *config) {
    fetching->database = database_connect(config, "media");
    int result = fetching->database == NULL ? EXIT_FAILED : fetch_due(fetching);
    PQfinish(fetching->database);
    return result;
}

static void look_until_ended(struct fetching *fetching, const struct config *config) {
    ending_hold();
    while (!ending_has_come()) {
        look(fetching, config);
        ending_nap(LOOK_MS);
    }
}

/* ---- the file ---- */

static bool check_file(const cJSON *file, const char *path) {
    static const char known[] = "hub token_file private_addresses plain_http ca_file timeout_s comment";
    const cJSON *range, *stray = cJSON_IsObject(file) ? member_stray(file->child, known) : NULL;
    if (stray != NULL) {
        return command_fail("%s: there is no member \"%s\"; it may have %s", path, stray->string, known), false;
    }
    if (*member_text(file, "hub") == '\0' || *member_text(file, "token_file") == '\0') {
        return command_fail("%s: needs hub, such as http://127.0.0.1:8080, and token_file", path), false;
    }
    cJSON_ArrayForEach(range, member_get(file, "private_addresses")) {
        if (!address_range_valid(cJSON_GetStringValue(range))) {
            return command_fail("%s: private_addresses: each must be a range such as \"10.20.0.0/16\"", path), false;
        }
    }
    return true;
}

static bool open_all(struct fetching *fetching, const char *path) {
    char problem[FILE_PROBLEM_MAX];
    size_t length;
    fetching->file = document_read(path, FILE_MAX);
    if (fetching->file == NULL || !check_file(fetching->file, path)) {
        return false;
    }
    const char *token_file = member_text(fetching->file, "token_file");
    fetching->token = file_read(token_file, FILE_MAX, &length, problem);
    if (fetching->token == NULL) {
        return command_fail("%s: %s", token_file, problem), false;
    }
    fetching->token[strcspn(fetching->token, "\r\n")] = '\0';
    fetching->here = cJSON_Parse("[\"127.0.0.0/8\",\"::1/128\"]");
    fetching->outside = curl_easy_init();
    fetching->hub = curl_easy_init();
    return fetching->here != NULL && fetching->outside != NULL && fetching->hub != NULL;
}

int fetch_run(const struct config *config, const char *path, bool once) {
    struct fetching fetching = {0};
    int result = EXIT_FAILED;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (open_all(&fetching, path)) {
        if (once) {
            result = look(&fetching, config);
            printf("%zu kept, %zu failed, %zu to be tried again\n", fetching.kept, fetching.failed, fetching.again);
        } else {
            look_until_ended(&fetching, config);
            result = EXIT_DONE;
        }
    }
    if (fetching.token != NULL) {
        secret_wipe(fetching.token, strlen(fetching.token));
        free(fetching.token);
    }
    curl_easy_cleanup(fetching.outside);
    curl_easy_cleanup(fetching.hub);
    curl_global_cleanup();
    cJSON_Delete(fetching.here);
    cJSON_Delete(fetching.file);
    return result;
}
