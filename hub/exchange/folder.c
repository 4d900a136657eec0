/* folder.c: a file a message, made under another name first. */
#include "hub/exchange/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"

enum { PROBLEM_MAX = 256, RECEIPT_MAX = 96 };

static int write_whole(int directory, const char *name, const char *text) {
    size_t length = strlen(text), written = 0;
    int file = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file < 0) {
        return CH_EIO;
    }
    while (written < length) {
        ssize_t count = write(file, text + written, length - written);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        written += (size_t)count;
    }
    bool whole = written == length && fsync(file) == 0;
    return close(file) == 0 && whole ? 0 : CH_EIO;
}

int folder_write(const char *folder, const char *name, const char *text) {
    char working[RECEIPT_MAX + 8];
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return CH_EIO;
    }
    snprintf(working, sizeof working, ".%s.part", name);
    int code = write_whole(directory, working, text);
    if (code == 0 && (renameat(directory, working, directory, name) != 0 || fsync(directory) != 0)) {
        code = CH_EIO;
    }
    int reason = errno;
    close(directory);
    errno = reason;
    return code;
}

int folder_put(const struct platform *target, const char *path, const char *key, const char *body,
               const struct curl_slist *headers, char *receipt, char *problem) {
    cJSON *file = cJSON_CreateObject(), *lines = cJSON_AddArrayToObject(file, "headers");
    cJSON_AddStringToObject(file, "target", target->name);
    cJSON_AddStringToObject(file, "path", path);
    cJSON_AddStringToObject(file, "key", key);
    cJSON_AddStringToObject(file, "message", body); /* as text, since the signature is over its bytes */
    for (; headers != NULL; headers = headers->next) {
        cJSON_AddItemToArray(lines, cJSON_CreateString(headers->data));
    }
    char *text = cJSON_PrintUnformatted(file);
    cJSON_Delete(file);
    if (text == NULL) {
        snprintf(problem, PROBLEM_MAX, "out of memory");
        return CH_EMEMORY;
    }
    snprintf(receipt, RECEIPT_MAX, "%s.json", key);
    int code = folder_write(target->folder, receipt, text);
    if (code != 0) {
        snprintf(problem, PROBLEM_MAX, "%s: %s", target->folder, strerror(errno));
    }
    cJSON_free(text);
    return code;
}
